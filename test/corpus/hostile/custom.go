package hostile

import (
	"bytes"
	"compress/zlib"
	"strconv"
	"strings"
)

// customs are custom sections that tools write and readers decode.
func customs() []Bomb {
	in := func(name string, content func(size int) []byte) func(int) []byte {
		return func(size int) []byte { return module(custom(name, content(size))) }
	}
	sub := func(id byte, b []byte) []byte { return append([]byte{id}, sized(b)...) }
	billions := leb(uint32(1<<32 - 1))
	value := func(i int) []byte { return cat(str(unique(i)), str("1")) }
	return []Bomb{
		{Name: "name section: four billion functions", Make: in("name", func(int) []byte { return sub(1, billions) })},
		{Name: "name section: a function of index four billion", Make: in("name", func(int) []byte {
			return sub(1, vec(cat(billions, str("f"))))
		})},
		{Name: "name section: names of nothing", Make: in("name", func(size int) []byte {
			return sub(1, fill(size, func(i int) []byte { return append(leb(i), 0) }))
		})},
		{Name: "name section: indices that go down", Make: in("name", func(size int) []byte {
			n := max(1, size/4)
			return sub(1, repeat(n, func(i int) []byte { return cat(leb(n-i), str("f")) }))
		})},
		{Name: "name section: one index again and again", Make: in("name", func(size int) []byte {
			return sub(1, fill(size, always(0, 1, 'f')))
		})},
		{Name: "name section: subsections of nothing", Make: in("name", func(size int) []byte {
			b, _ := several(size, always(77, 0))
			return b
		})},
		{Name: "name section: the functions, again and again", Make: in("name", func(size int) []byte {
			b, _ := several(size, always(sub(1, vec(cat([]byte{0}, str("f"))))...))
			return b
		})},
		{Name: "name section: locals of nothing", Make: in("name", func(size int) []byte {
			return sub(2, fill(size, func(i int) []byte { return append(leb(i), 0) }))
		})},
		{Name: "name section: a name as long as all the rest", Make: in("name", func(size int) []byte {
			return sub(1, vec(cat([]byte{0}, str(strings.Repeat("n", size)))))
		})},
		{Name: "name section: names for functions that are there", Make: func(size int) []byte {
			n := max(1, size/16)
			names := sub(1, repeat(n, func(i int) []byte { return cat(leb(i), str(unique(i))) }))
			return append(functions(n, always(emptyBody...)), custom("name", names)...)
		}},
		{Name: "producers: four billion fields", Make: in("producers", func(int) []byte { return billions })},
		{Name: "producers: fields of nothing", Make: in("producers", func(size int) []byte { return fill(size, always(0, 0)) })},
		{Name: "producers: values by the thousand", Make: in("producers", func(size int) []byte {
			return vec(cat(str("processed-by"), fill(size, value)))
		})},
		{Name: "producers: the section again and again", Make: func(size int) []byte {
			one := custom("producers", vec(cat(str("language"), vec(value(0)))))
			all, _ := several(size, always(one...))
			return module(all)
		}},
		{Name: "features of nothing", Make: in("target_features", func(size int) []byte { return fill(size, always('+', 0)) })},
		{Name: "four billion features", Make: in("target_features", func(int) []byte { return billions })},
		{Name: "dependencies: a small file of large zeros", Make: in(".dep-v0", func(size int) []byte {
			return deflate(bytes.Repeat([]byte{' '}, min(1000*size, 64<<20)))
		})},
		{Name: "dependencies: brackets in brackets", Make: in(".dep-v0", func(size int) []byte {
			return deflate(bytes.Repeat([]byte{'['}, min(1000*size, 64<<20)))
		})},
		{Name: "dependencies: packages by the thousand", Make: in(".dep-v0", func(size int) []byte {
			const one = `{"name":"a","version":"1.0.0","source":"crates.io","dependencies":[0]},`
			list := strings.Repeat(one, min(100*size, 16<<20)/len(one))
			return deflate([]byte(`{"packages":[` + list + `{"name":"b","version":"1.0.0","source":"local","root":true}]}`))
		})},
		{Name: "dependencies: no compressed data", Make: in(".dep-v0", noise)},
		{Name: "shared libraries by the thousand", Make: in("dylink.0", func(size int) []byte {
			return sub(2, fill(size, func(i int) []byte { return str(unique(i)) }))
		})},
		{Name: "four billion shared libraries", Make: in("dylink.0", func(int) []byte { return sub(2, billions) })},
		{Name: "debug information that is none", Make: func(size int) []byte {
			return module(custom(".debug_info", noise(size/3)), custom(".debug_abbrev", noise(size/3)), custom(".debug_line", noise(size/3)))
		}},
		{Name: "the source map's address without an end", Make: in("sourceMappingURL", func(size int) []byte {
			return cat(billions, bytes.Repeat([]byte{'a'}, size))
		})},
		{Name: "relocations that are none", Make: func(size int) []byte {
			return module(custom("linking", []byte{2}, noise(size/2)), custom("reloc.CODE", noise(size/2)))
		}},
		{Name: "documents of a package: brackets in brackets", Make: func(size int) []byte {
			return component(custom("package-docs", []byte{1}, bytes.Repeat([]byte{'['}, size)))
		}},
		{Name: "documents of a package: objects in objects", Make: func(size int) []byte {
			return component(custom("package-docs", []byte{1}, bytes.Repeat([]byte(`{"interfaces":`), size/14)))
		}},
		{Name: "documents of a package: worlds by the thousand", Make: func(size int) []byte {
			var b bytes.Buffer
			b.WriteString(`{"worlds":{`)
			for i := 0; b.Len() < size; i++ {
				b.WriteString(`"` + unique(i) + `":{},`)
			}
			b.WriteString(`"z":{}}}`)
			return component(custom("package-docs", []byte{1}, b.Bytes()))
		}},
		{Name: "types of a component in a module in a component", Make: func(size int) []byte {
			return nest(component(), size, func(b []byte) []byte {
				return component(section(secCoreModule, module(custom("component-type:w", b))))
			})
		}},
		{Name: "code for a processor in a custom section", Make: in(".wasmtime.engine", func(size int) []byte {
			return append([]byte("\x7fELF\x02\x01\x01\x00"), noise(size)...)
		})},
		{Name: "a source of a script", Make: in("javy_source", noise)},
	}
}

func deflate(b []byte) []byte {
	var buf bytes.Buffer
	z := zlib.NewWriter(&buf)
	// A bytes.Buffer takes everything.
	_, _ = z.Write(b)
	_ = z.Close()
	return buf.Bytes()
}

// symbols are names of functions that grow when they are demangled.
func symbols() []Bomb {
	named := func(names func(size int) [][]byte) func(int) []byte {
		return func(size int) []byte {
			list := names(size)
			section := sized(repeat(len(list), func(i int) []byte { return cat(leb(i), sized(list[i])) }))
			return append(functions(len(list), always(emptyBody...)), custom("name", []byte{1}, section)...)
		}
	}
	// long is one name at most as long as the decoder takes.
	long := func(before, pattern, after string) func(int) []byte {
		return named(func(size int) [][]byte {
			n := min(size, 99_000) / max(1, len(pattern))
			return [][]byte{[]byte(before + strings.Repeat(pattern, n) + after)}
		})
	}
	many := func(name string) func(int) []byte {
		return named(func(size int) [][]byte {
			var list [][]byte
			for n := 0; n < size; n += len(name) + 6 {
				list = append(list, []byte(name))
			}
			return list
		})
	}
	// itanium doubles: a pair of what stands before, again and again.
	var itanium strings.Builder
	itanium.WriteString("_Z1f1AI1BS0_E")
	for i := range 30 {
		digit := string("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i+1])
		itanium.WriteString("1AIS" + digit + "_S" + digit + "_E")
	}
	// rust doubles: a tuple of two references back to the tuple before.
	rust := "_RINvC1a1fTuuE"
	for range 30 {
		before := len("INvC1a1f")
		if i := strings.LastIndexByte(rust, 'T'); i > 0 {
			before = i - len("_R")
		}
		ref := "B" + base62(before)
		rust += "T" + ref + ref + "E"
	}
	return []Bomb{
		{Name: "symbols of C++: pairs of pairs", Make: many(itanium.String())},
		{Name: "symbols of C++: pointers to pointers", Make: long("_Z1f", "P", "i")},
		{Name: "symbols of C++: templates of templates", Make: long("_Z1f", "1AI", "i")},
		{Name: "symbols of C++: names in names", Make: long("_Z", "N", "1aE")},
		{Name: "symbols of C++: functions of functions", Make: long("_Z1f", "PF", "i")},
		{Name: "symbols of C++: expressions", Make: long("_Z1fIXcl", "cl", "EEE")},
		{Name: "symbols of C++: unnamed types", Make: long("_ZUlvE_", "UlvE_", "")},
		{Name: "symbols of C++: a length beyond the end", Make: many("_Z99999999999999999999f")},
		{Name: "symbols of Rust: tuples of tuples", Make: many(rust + "E")},
		{Name: "symbols of Rust: references back to themselves", Make: many("_RNvB_1f")},
		{Name: "symbols of Rust: types in types", Make: long("_RINvC1a1f", "R", "uE")},
		{Name: "symbols of Rust: paths in paths", Make: long("_R", "Nv", "C1a1f")},
		{Name: "symbols of Rust: constants in constants", Make: long("_RIC1aK", "R", "uE")},
		{Name: "symbols of Rust: Punycode", Make: long("_RNvC1au9000", "a", "")},
		{Name: "old symbols of Rust: short parts", Make: long("_ZN", "1a", "17h0123456789abcdefE")},
		{Name: "old symbols of Rust: escapes", Make: long("_ZN9999", "$LT$", "17h0123456789abcdefE")},
		{Name: "symbols of Swift: substitutions", Make: long("$s4main", "AA", "yyF")},
		{Name: "symbols of Swift: types in types", Make: long("$s4main1fyy", "Say", "GF")},
		{Name: "symbols of Haskell: escapes", Make: long("ghczmprim_", "zi", "_info")},
		{Name: "symbols of Go: parts", Make: long("", "a.", "(*T).f")},
		{Name: "symbols of Go: brackets", Make: long("main.f", "[", "")},
		{Name: "names with as many parts as letters", Make: long("", "a::", "f")},
		{Name: "names of nothing but brackets", Make: long("", "<", "")},
		{Name: "packages, each with one function", Make: named(func(size int) [][]byte {
			var list [][]byte
			for n := 0; n < size; n += 40 {
				name := unique(len(list))
				list = append(list, []byte("_ZN"+strconv.Itoa(len(name))+name+"1f17h0123456789abcdefE"))
			}
			return list
		})},
	}
}

// base62 is a number as Rust's symbols write the place of a reference back.
func base62(n int) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if n == 0 {
		return "_"
	}
	n--
	s := "_"
	for {
		s = digits[n%62:n%62+1] + s
		if n /= 62; n == 0 {
			return s
		}
	}
}
