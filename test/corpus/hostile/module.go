package hostile

import (
	"bytes"
	"strings"
)

// segments are bombs of the other sections of a module.
func segments() []Bomb {
	entries := func(id byte, entry func(i int) []byte, before ...[]byte) func(int) []byte {
		return func(size int) []byte { return module(cat(before...), section(id, fill(size, entry))) }
	}
	i32 := []byte{0x41, 0, 0x0b}
	return []Bomb{
		{Name: "imports of one function", Make: entries(secImport, always(0, 0, 0, 0), oneType)},
		{Name: "imports of two-byte names, all different", Make: entries(secImport, func(i int) []byte {
			return cat(str(unique(i)), str(unique(i)), []byte{0, 0})
		}, oneType)},
		{Name: "names as long as they may be", Make: entries(secImport, func(i int) []byte {
			return cat([]byte{0}, str(strings.Repeat("x", 99_990)+unique(i)), []byte{0, 0})
		}, oneType)},
		{Name: "imports of a type of a thousand parameters", Make: entries(secImport, always(0, 0, 0, 0),
			section(secType, vec(wide(true, true))))},
		{Name: "tables", Make: entries(secTable, always(0x70, 0, 0))},
		{Name: "a table of all there is", Make: func(int) []byte {
			return module(section(secTable, []byte{1, 0x70, 0}, leb(uint32(1<<32-1))))
		}},
		{Name: "memories", Make: entries(secMemory, always(0, 0))},
		{Name: "a memory of all there is", Make: func(int) []byte {
			return module(section(secMemory, []byte{1, 4}, leb(uint64(1<<48))))
		}},
		{Name: "tags", Make: entries(secTag, always(0, 0), oneType)},
		{Name: "globals", Make: entries(secGlobal, always(cat([]byte{0x7f, 0}, i32)...))},
		{Name: "globals, each of which is the one before", Make: entries(secGlobal, func(i int) []byte {
			if i == 0 {
				return cat([]byte{0x7f, 0}, i32)
			}
			return cat([]byte{0x7f, 0, 0x23}, leb(i-1), endOfBody)
		})},
		{Name: "a global of a long sum", Make: func(size int) []byte {
			return module(section(secGlobal, []byte{1, 0x7f, 0, 0x41, 0}, bytes.Repeat([]byte{0x41, 1, 0x6a}, size/3), endOfBody))
		}},
		{Name: "a global of a sum that is added up at the end", Make: func(size int) []byte {
			n := max(1, size/3)
			return module(section(secGlobal, []byte{1, 0x7f, 0}, bytes.Repeat([]byte{0x41, 1}, n+1), bytes.Repeat([]byte{0x6a}, n), endOfBody))
		}},
		{Name: "exports of one function under many names", Make: func(size int) []byte {
			return functions(1, always(emptyBody...), section(secExport, fill(size, func(i int) []byte {
				return cat(str(unique(i)), []byte{0, 0})
			})))
		}},
		{Name: "exports of one name", Refused: true, Make: func(size int) []byte {
			return functions(1, always(emptyBody...), section(secExport, fill(max(size, 8), always(0, 0, 0))))
		}},
		{Name: "exports whose names are no text", Refused: true, Make: func(size int) []byte {
			return functions(1, always(emptyBody...), section(secExport, fill(size, always(2, 0xc0, 0x80, 0, 0))))
		}},
		{Name: "element segments of nothing", Make: entries(secElement, always(1, 0, 0))},
		{Name: "an element segment of four billion", Refused: true, Make: func(int) []byte {
			return module(section(secElement, []byte{1, 1, 0}, leb(uint32(1<<32-1))))
		}},
		{Name: "one element segment of one function", Make: func(size int) []byte {
			return functions(1, always(emptyBody...), section(secElement, []byte{1, 1, 0}, fill(size, always(0))))
		}},
		{Name: "an element segment of expressions", Make: func(size int) []byte {
			return functions(1, always(emptyBody...), section(secElement, []byte{1, 5, 0x70}, fill(size, always(0xd2, 0, 0x0b))))
		}},
		{Name: "data segments of nothing", Make: entries(secData, always(1, 0))},
		{Name: "data segments at the same place", Make: entries(secData, always(cat([]byte{0}, i32, []byte{1, 'x'})...), oneMemory)},
		{Name: "data segments in every page of four gigabytes", Make: entries(secData, func(i int) []byte {
			return cat([]byte{0, 0x41}, sleb(int(int32(uint32(i)*65536))), endOfBody, []byte{1, 'x'})
		}, section(secMemory, []byte{1, 0}, leb(65536)))},
		{Name: "data segments at the end of a 64-bit memory", Make: entries(secData, func(i int) []byte {
			return cat([]byte{0, 0x42}, sleb(-1-i), endOfBody, []byte{1, 'x'})
		}, section(secMemory, []byte{1, 4}, leb(uint64(1<<48))))},
		{Name: "a data count that is not true", Refused: true, Make: func(int) []byte {
			return module(section(secCount, leb(uint32(1<<32-1))))
		}},
		{Name: "a start function that does not exist", Refused: true, Make: func(int) []byte {
			return module(section(secStart, leb(uint32(1<<32-1))))
		}},
	}
}

// contents are data that a search through it might take too seriously.
func contents() []Bomb {
	data := func(b []byte) []byte {
		return module(oneMemory, section(secData, []byte{1, 0, 0x41, 0, 0x0b}, sized(b)))
	}
	of := func(pattern string) func(int) []byte {
		return func(size int) []byte { return data(bytes.Repeat([]byte(pattern), size/len(pattern)+1)) }
	}
	const (
		goMarker   = "\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6"
		hash40     = "0123456789abcdef0123456789abcdef01234567"
		sha256Word = "\x98\x2f\x8a\x42\x91\x44\x37\x71\xcf\xfb\xc0\xb5\xa5\xdb\xb5\xe9"
	)
	list := []Bomb{
		{Name: "random data", Make: func(size int) []byte { return data(noise(size)) }},
		{Name: "modules in the data of modules", Make: func(size int) []byte {
			b := module()
			for len(b) < size {
				b = data(append(b, make([]byte, 1+len(b)/16)...))
			}
			return b
		}},
		{Name: "data segments of a string each", Make: func(size int) []byte {
			return module(oneMemory, section(secData, fill(size, func(i int) []byte {
				return cat([]byte{0, 0x41}, sleb(i*16), endOfBody, str("string "+unique(i)))
			})))
		}},
	}
	for _, p := range []struct{ name, pattern string }{
		{"nothing but zeros", "\x00"},
		{"one long string", "x"},
		{"strings of four letters", "abcd\x00"},
		{"strings that are all different letters of UTF-8", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"the beginnings of modules", "\x00asm\x01\x00\x00\x00"},
		{"the beginnings of components", "\x00asm\x0d\x00\x01\x00"},
		{"the beginnings of gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"},
		{"the beginnings of zip and 7z", "PK\x03\x04" + "7z\xbc\xaf\x27\x1c"},
		{"the beginnings of ELF and PE", "\x7fELF\x02\x01\x01\x00MZ\x90\x00"},
		{"the beginnings of .NET payloads", "WbIL\x00\x00\x00\x00"},
		{"web addresses", "http://a.b "},
		{"one long web address", "http://"},
		{"one long mail address", "a@b."},
		{"keys without an end", "-----BEGIN PRIVATE KEY-----\n"},
		{"tokens of the web", "eyJhbGciOiJIUzI1NiJ9."},
		{"one long token", "eyJ"},
		{"keys of a cloud", "AKIAIOSFODNN7EXAMPLE "},
		{"keys of a forge", "ghp_abcdefghijklmnopqrstuvwxyz0123456789 "},
		{"paths of a home", "/home/u/"},
		{"paths of crates", "/registry/src/index-0123456789abcdef/a-1.0.0/"},
		{"paths of compilers", "/rustc/" + hash40 + "/"},
		{"markers of Go's build information", goMarker},
		{"lines of Go's build information", goMarker + "path\ta\ndep\tb\tv1.0.0\th1:x\n"},
		{"constants of a hash function", sha256Word},
		{"numbers with dots", "1.1.1.1"},
		{"digits", "0123456789"},
		{"base64", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo"},
		{"slashes", "/"},
		{"dashes", "-"},
		{"versions of Go", "go1.26.8 "},
		{"quotes and braces", `{"a":[`},
	} {
		list = append(list, Bomb{Name: "data: " + p.name, Make: of(p.pattern)})
	}
	return list
}

// noise is a fixed sequence of bytes that looks random.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// graphs are bombs for whoever follows calls.
func graphs() []Bomb {
	call := func(i int) []byte { return cat([]byte{0x10}, leb(i)) }
	export := section(secExport, vec(cat(str("run"), []byte{0, 0})))
	return []Bomb{
		{Name: "functions that call the next one", Make: func(size int) []byte {
			n := max(2, size/7)
			return functions(n, func(i int) []byte { return body(call((i + 1) % n)) }, export)
		}},
		{Name: "functions that call the one before", Make: func(size int) []byte {
			n := max(2, size/7)
			return functions(n, func(i int) []byte { return body(call(max(0, i-1))) },
				section(secExport, vec(cat(str("run"), []byte{0}, leb(n-1)))))
		}},
		{Name: "functions that call themselves", Make: func(size int) []byte {
			n := max(2, size/7)
			return functions(n, func(i int) []byte { return body(call(i)) }, export)
		}},
		{Name: "functions that all call all", Make: func(size int) []byte {
			n := 2
			for n*n*3 < size {
				n++
			}
			return functions(n, func(int) []byte {
				var code []byte
				for i := range n {
					code = append(code, call(i)...)
				}
				return body(code)
			}, export)
		}},
		{Name: "one function that calls all", Make: func(size int) []byte {
			n := max(2, size/8)
			var code []byte
			for i := range n {
				code = append(code, call(i)...)
			}
			return functions(n, func(i int) []byte {
				if i == 0 {
					return body(code)
				}
				return emptyBody
			}, export)
		}},
		{Name: "ladders: each function calls the next two", Make: func(size int) []byte {
			n := max(4, size/10)
			return functions(n, func(i int) []byte { return body(call(min(i+1, n-1)), call(min(i+2, n-1))) }, export)
		}},
		{Name: "indirect calls by a table of all", Make: func(size int) []byte {
			n := max(2, size/16)
			tables := cat(section(secTable, []byte{1, 0x70, 0}, leb(n)), export,
				section(secElement, []byte{1, 0, 0x41, 0, 0x0b}, repeat(n, func(i int) []byte { return leb(i) })))
			return functions(n, always(body([]byte{0x41, 0, 0x11, 0, 0})...), tables)
		}},
		{Name: "one function of conditional branches", Make: func(size int) []byte {
			return functions(1, always(body([]byte{0x03, 0x40}, bytes.Repeat([]byte{0x41, 0, 0x0d, 0}, size/4), endOfBody)...), export)
		}},
		{Name: "a dispatcher: a branch table in a loop over blocks", Make: func(size int) []byte {
			n := max(2, size/8)
			var code []byte
			code = append(append(code, 0x03, 0x40), bytes.Repeat([]byte{0x02, 0x40}, n)...)
			code = append(append(code, 0x41, 0, 0x0e), repeat(n, func(i int) []byte { return leb(i) })...)
			code = append(append(code, 0), bytes.Repeat(endOfBody, n+1)...)
			return functions(1, always(body(code)...), export)
		}},
		{Name: "functions of the same bytes", Make: func(size int) []byte {
			one := body(bytes.Repeat([]byte{0x01}, 60))
			return functions(max(1, size/len(one)), always(one...), export)
		}},
	}
}
