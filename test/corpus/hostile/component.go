package hostile

import (
	"bytes"
	"strings"
)

// IDs of sections of a component.
const (
	secCoreModule   = 1
	secCoreInstance = 2
	secCoreTypes    = 3
	secComponent    = 4
	secInstance     = 5
	secAlias        = 6
	secTypes        = 7
	secCanon        = 8
	secStarts       = 9
	secImports      = 10
	secExports      = 11
	secValues       = 12
)

// extern is the name of an import or export of a component.
func extern(name string) []byte { return append([]byte{0}, str(name)...) }

// tuple is a tuple type of two types.
func tuple(a, b []byte) []byte { return cat([]byte{0x6f, 2}, a, b) }

// componentTypes are bombs of the types of components.
func componentTypes() []Bomb {
	typesOf := func(entry func(i int) []byte) func(int) []byte {
		return func(size int) []byte { return component(section(secTypes, fill(size, entry))) }
	}
	doubling := func(n int) []byte {
		return repeat(n, func(i int) []byte {
			if i == 0 {
				return tuple([]byte{0x7f}, []byte{0x7f})
			}
			return tuple(sleb(i-1), sleb(i-1))
		})
	}
	chain := func(op byte) func(i int) []byte {
		return func(i int) []byte {
			if i == 0 {
				return []byte{op, 0x7f}
			}
			return append([]byte{op}, sleb(i-1)...)
		}
	}
	labels := func(op byte, after ...byte) func(int) []byte {
		return func(size int) []byte {
			return component(section(secTypes, []byte{1, op}, fill(size, func(i int) []byte { return cat(str(unique(i)), after) })))
		}
	}
	list := []Bomb{
		{Name: "component types of one byte", Make: typesOf(always(0x7f))},
		{Name: "four billion component types", Refused: true, Make: func(int) []byte {
			return component(section(secTypes, leb(uint32(1<<32-1))))
		}},
		{Name: "component types of nothing", Make: typesOf(always(0x41, 0))},
		{Name: "instance types of nothing", Make: typesOf(always(0x42, 0))},
		{Name: "component types in component types", Make: func(size int) []byte {
			n := size / 4
			return component(section(secTypes, []byte{1}, bytes.Repeat([]byte{0x41, 1, 0x01}, n), []byte{0x7f}))
		}},
		{Name: "instance types in instance types", Make: func(size int) []byte {
			n := size / 4
			return component(section(secTypes, []byte{1}, bytes.Repeat([]byte{0x42, 1, 0x01}, n), []byte{0x7f}))
		}},
		{Name: "a record of many fields", Make: labels(0x72, 0x7f)},
		{Name: "a variant of many cases", Make: labels(0x71, 0, 0)},
		{Name: "an enum of many cases", Make: labels(0x6d)},
		{Name: "a set of many flags", Make: labels(0x6e)},
		{Name: "options of options", Make: typesOf(chain(0x6b))},
		{Name: "lists of lists", Make: typesOf(chain(0x70))},
		{Name: "streams of streams", Make: typesOf(chain(0x66))},
		{Name: "a list of four billion elements of four billion", Make: typesOf(func(i int) []byte {
			b := []byte{0x67, 0x7f}
			if i > 0 {
				b = append([]byte{0x67}, sleb(i-1)...)
			}
			return append(b, leb(uint32(1<<32-1))...)
		})},
		{Name: "tuples of the tuple before, twice", Make: func(size int) []byte {
			return component(section(secTypes, doubling(max(2, size/7))))
		}},
		{Name: "a function of a doubling tuple", Make: func(int) []byte {
			return component(section(secTypes, []byte{41}, doubling(40)[1:], []byte{0x40, 1}, str("p"), sleb(39), []byte{0}, sleb(39)),
				section(secImports, []byte{1}, extern("f"), []byte{1}, leb(40)))
		}},
		{Name: "a package of WIT with a doubling tuple", Make: func(int) []byte {
			return witPackage("a:b/c", cat(leb(41), declared(doubling(40)[1:], 40),
				[]byte{0x01, 0x40, 1}, str("p"), sleb(39), []byte{0}, sleb(39)))
		}},
		{Name: "a package of WIT whose function takes all doubling tuples", Make: func(size int) []byte {
			n := max(2, min(size/16, 60_000))
			params := repeat(min(n, 900), func(i int) []byte { return cat(str(unique(i)), sleb(i)) })
			return witPackage("a:b/c", cat(leb(n+2), declared(doubling(n)[len(leb(n)):], n),
				[]byte{0x01, 0x40}, params, []byte{1, 0}, []byte{0x04}, extern("f"), []byte{1}, leb(n)))
		}},
		{Name: "two equal doubling tuples, compared", Make: func(int) []byte {
			both := cat(doubling(40)[1:], repeat(40, func(i int) []byte {
				if i == 0 {
					return tuple([]byte{0x7f}, []byte{0x7f})
				}
				return tuple(sleb(40+i-1), sleb(40+i-1))
			})[1:])
			return component(section(secTypes, []byte{82}, both, []byte{0x40, 1}, str("p"), sleb(39), []byte{1, 0},
				[]byte{0x40, 1}, str("p"), sleb(79), []byte{1, 0}),
				section(secImports, []byte{1}, extern("f"), []byte{1}, leb(80)),
				section(secComponent, component(section(secTypes, []byte{41}, doubling(40)[1:], []byte{0x40, 1}, str("p"), sleb(39), []byte{1, 0}),
					section(secImports, []byte{1}, extern("f"), []byte{1}, leb(40)))),
				section(secInstance, []byte{1, 0, 0, 1}, str("f"), []byte{1, 0}))
		}},
		{Name: "instance types that hold the one before twice", Make: nestedInstances},
		{Name: "an instance type of many exports", Make: func(size int) []byte {
			return component(section(secTypes, []byte{1, 0x42}, fill(size, func(i int) []byte {
				return cat([]byte{0x04}, extern(unique(i)), []byte{3, 1})
			})))
		}},
		{Name: "resources", Make: typesOf(always(0x3f, 0x7f, 0))},
		{Name: "handles of one resource", Make: typesOf(func(i int) []byte {
			if i == 0 {
				return []byte{0x3f, 0x7f, 0}
			}
			return []byte{0x69, 0}
		})},
		{Name: "a function type of many parameters", Make: func(size int) []byte {
			return component(section(secTypes, []byte{1, 0x40}, fill(size, func(i int) []byte { return cat(str(unique(i)), []byte{0x7f}) }),
				[]byte{1, 0}))
		}},
		{Name: "core types in a component", Make: func(size int) []byte {
			return component(section(secCoreTypes, fill(size, always(funcType...))))
		}},
		{Name: "a module type of many imports", Make: func(size int) []byte {
			return component(section(secCoreTypes, []byte{1, 0x50}, fill(size, always(0, 0, 0, 2, 0, 0))))
		}},
		{Name: "module types of nothing", Make: func(size int) []byte {
			return component(section(secCoreTypes, fill(size, always(0x50, 0))))
		}},
	}
	return list
}

// declared turns n types into declarations of types.
func declared(types []byte, n int) []byte {
	// Every tuple of doubling is as long as its two indices make it.
	var b []byte
	for i := range n {
		l := 4
		if i > 0 {
			l = 2 + 2*len(sleb(i-1))
		}
		b = append(append(b, 0x01), types[:l]...)
		types = types[l:]
	}
	return b
}

// witPackage is a package of one interface, whose declarations are given with
// their count.
func witPackage(name string, declarations []byte) []byte {
	instance := cat([]byte{0x42}, declarations)
	wrapped := cat([]byte{0x41, 2, 0x01}, instance, []byte{0x04}, extern(name), []byte{5, 0})
	_, item, _ := strings.Cut(name, "/")
	return component(section(secTypes, []byte{1}, wrapped), section(secExports, []byte{1}, extern(item), []byte{3, 0, 0}))
}

// repeatDeclared is n pairs of declarations with their count.
func repeatDeclared(n int, pair func(i int) []byte) []byte {
	b := leb(2 * n)
	for i := range n {
		b = append(b, pair(i)...)
	}
	return b
}

// nestedInstances exports, in each type, two instances of the type before, which
// an alias brings in: the whole tree has 2^n leaves.
func nestedInstances(size int) []byte {
	n := max(2, size/30)
	return component(section(secTypes, repeat(n, func(i int) []byte {
		if i == 0 {
			return []byte{0x42, 0}
		}
		outer := cat([]byte{0x02, 0x03, 0x02, 1}, leb(i-1))
		return cat([]byte{0x42, 3}, outer, []byte{0x04}, extern("a"), []byte{5, 0}, []byte{0x04}, extern("b"), []byte{5, 0})
	})), section(secImports, []byte{1}, extern("deep"), []byte{5}, leb(n-1)))
}

// components are bombs of everything else in a component.
func components() []Bomb {
	entries := func(id byte, entry func(i int) []byte, before ...[]byte) func(int) []byte {
		return func(size int) []byte { return component(cat(before...), section(id, fill(size, entry))) }
	}
	sections := func(one []byte, before ...[]byte) func(int) []byte {
		return func(size int) []byte {
			all, _ := several(size, always(one...))
			return component(cat(before...), all)
		}
	}
	bool1 := section(secTypes, []byte{1, 0x7f})
	instanceType := section(secTypes, []byte{1, 0x42, 0})
	importedInstance := cat(instanceType, section(secImports, []byte{1}, extern("i"), []byte{5, 0}))
	funcImport := cat(section(secTypes, []byte{1, 0x40, 0, 1, 0}), section(secImports, []byte{1}, extern("f"), []byte{1, 0}))
	return []Bomb{
		{Name: "components in components", Refused: true, Make: func(size int) []byte {
			return nest(component(), size, func(b []byte) []byte { return component(section(secComponent, b)) })
		}},
		{Name: "components beside components", Make: sections(section(secComponent, component()))},
		{Name: "modules beside modules", Make: sections(section(secCoreModule, module()))},
		{Name: "modules with a function each", Make: sections(section(secCoreModule, bodyOf()))},
		{Name: "modules with ten functions each", Make: sections(section(secCoreModule, functions(10, always(emptyBody...))))},
		{Name: "modules with a thousand functions each", Make: sections(section(secCoreModule, functions(1000, always(emptyBody...))))},
		{Name: "modules whose functions call the next one", Make: sections(section(secCoreModule,
			functions(200, func(i int) []byte { return body(cat([]byte{0x10}, leb((i+1)%200))) })))},
		{Name: "a package of WIT of records of many fields", Make: func(size int) []byte {
			return witPackage("a:b/c", repeatDeclared(max(1, size/4000), func(i int) []byte {
				fields := repeat(500, func(k int) []byte { return cat(str(unique(k)), []byte{0x7f}) })
				return cat([]byte{0x01, 0x72}, fields, []byte{0x04}, extern("r"+unique(i)), []byte{3, 0}, leb(2*i))
			}))
		}},
		{Name: "a package of WIT of functions without parameters", Make: func(size int) []byte {
			return witPackage("a:b/c", cat(leb(1+max(1, size/12)), []byte{0x01, 0x40, 0, 1, 0}, repeat(max(1, size/12), func(i int) []byte {
				return cat([]byte{0x04}, extern(unique(i)), []byte{1, 0})
			})[len(leb(max(1, size/12))):]))
		}},
		{Name: "a component of four billion bytes", Refused: true, Make: func(int) []byte {
			return component([]byte{secComponent}, leb(uint32(1<<32-1)), component())
		}},
		{Name: "sections of no types", Make: sections([]byte{secTypes, 1, 0})},
		{Name: "sections of one type", Make: sections([]byte{secTypes, 2, 1, 0x7f})},
		{Name: "four billion imports of a component", Refused: true, Make: func(int) []byte {
			return component(section(secImports, leb(uint32(1<<32-1))))
		}},
		{Name: "imports of instances", Make: entries(secImports, func(i int) []byte {
			return cat(extern(unique(i)), []byte{5, 0})
		}, instanceType)},
		{Name: "imports of types", Make: entries(secImports, func(i int) []byte {
			return cat(extern(unique(i)), []byte{3, 0, 0})
		}, bool1)},
		{Name: "imports of resources", Make: entries(secImports, func(i int) []byte {
			return cat(extern(unique(i)), []byte{3, 1})
		})},
		{Name: "imports of one name", Refused: true, Make: func(size int) []byte {
			return component(instanceType, section(secImports, fill(max(size, 16), always(cat(extern("a"), []byte{5, 0})...))))
		}},
		{Name: "imports of versions of one interface", Make: entries(secImports, func(i int) []byte {
			return cat(extern("a:b/c@0.0."+strings.Repeat("1", 1+i%5)+unique(i)[1:]), []byte{5, 0})
		}, instanceType)},
		{Name: "imports of long names of short words", Make: entries(secImports, func(i int) []byte {
			return cat(extern(strings.Repeat("a-", 40_000)+unique(i)), []byte{5, 0})
		}, instanceType)},
		{Name: "names of nested namespaces", Make: entries(secImports, func(i int) []byte {
			return cat(extern(strings.Repeat("a:", 40_000)+unique(i)+"/c"), []byte{5, 0})
		}, instanceType)},
		{Name: "exports that export again", Make: func(size int) []byte {
			return component(importedInstance, section(secExports, fill(size, func(i int) []byte {
				return cat(extern(unique(i)), []byte{5}, leb(i), []byte{0})
			})))
		}},
		{Name: "aliases of what is far outside", Refused: true, Make: func(int) []byte {
			return component(section(secAlias, []byte{1, 0x03, 0x02}, leb(uint32(1<<32-1)), []byte{0}))
		}},
		{Name: "aliases of one type", Make: entries(secAlias, always(0x03, 0x02, 0, 0), bool1)},
		{Name: "aliases of exports that are not there", Refused: true, Make: entries(secAlias, always(0x01, 0x00, 0, 1, 'x'), importedInstance)},
		{Name: "aliases of a chain of instances", Make: func(size int) []byte {
			// Each instance holds the one before, under the name "a".
			n := max(1, size/16)
			var b []byte
			for i := range n {
				b = append(b, section(secInstance, []byte{1, 1, 1}, extern("a"), []byte{5}, leb(2*i))...)
				b = append(b, section(secAlias, []byte{1, 5, 0}, leb(2*i+1), str("a"))...)
			}
			return component(importedInstance, b)
		}},
		{Name: "instances of nothing", Make: entries(secInstance, always(1, 0))},
		{Name: "instances of one component", Make: entries(secInstance, always(0, 0, 0), section(secComponent, component()))},
		{Name: "instances of a component of many exports", Make: func(size int) []byte {
			inner := component(section(secTypes, []byte{1, 0x7f}), section(secExports, fill(size/2, func(i int) []byte {
				return cat(extern(unique(i)), []byte{3, 0, 0})
			})))
			return component(section(secComponent, inner), section(secInstance, fill(size/2, always(0, 0, 0))))
		}},
		{Name: "instances that hold the one before twice", Make: entries(secInstance, func(i int) []byte {
			if i == 0 {
				return []byte{1, 0}
			}
			return cat([]byte{1, 2}, extern("a"), []byte{5}, leb(i-1), extern("b"), []byte{5}, leb(i-1))
		})},
		{Name: "instances of types with resources, each again", Make: func(size int) []byte {
			t := cat([]byte{0x42}, repeat(100, func(i int) []byte { return cat([]byte{0x04}, extern(unique(i)), []byte{3, 1}) }))
			return component(section(secTypes, []byte{1}, t), section(secImports, fill(size, func(i int) []byte {
				return cat(extern(unique(i)), []byte{5, 0})
			})))
		}},
		{Name: "core instances of nothing", Make: entries(secCoreInstance, always(1, 0))},
		{Name: "core instances of one module", Make: entries(secCoreInstance, always(0, 0, 0), section(secCoreModule, module()))},
		{Name: "core instances of many arguments", Make: func(size int) []byte {
			return component(section(secCoreModule, module()), section(secCoreInstance, []byte{1, 0, 0}, fill(size, func(i int) []byte {
				return cat(str(unique(i)), []byte{0x12, 0})
			})))
		}},
		{Name: "canonical functions without an end of options", Refused: true, Make: func(int) []byte {
			return component(section(secCanon, []byte{1, 0, 0, 0}, leb(uint32(1<<32-1))))
		}},
		{Name: "functions lowered again and again", Make: entries(secCanon, always(1, 0, 0, 0), funcImport)},
		{Name: "options by the thousand", Refused: true, Make: func(size int) []byte {
			return component(funcImport, section(secCanon, []byte{1, 1, 0, 0}, fill(max(size, 4), always(0))))
		}},
		{Name: "drops of one resource", Make: entries(secCanon, always(0x03, 0), section(secTypes, []byte{1, 0x3f, 0x7f, 0}))},
		{Name: "a start of four billion arguments", Refused: true, Make: func(int) []byte {
			return component(section(secStarts, []byte{0}, leb(uint32(1<<32-1))))
		}},
		{Name: "values of a byte", Make: entries(secValues, always(0x7f, 1, 1))},
		{Name: "a module in a module's place, of the wrong kind", Refused: true, Make: func(int) []byte {
			return component(section(secCoreModule, component()))
		}},
		{Name: "components of which each has one more import", Make: func(size int) []byte {
			var b []byte
			for i := 0; len(b) < size; i++ {
				b = append(b, section(secComponent, component(section(secTypes, []byte{1, 0x42, 0}),
					section(secImports, repeat(i, func(k int) []byte { return cat(extern(unique(k)), []byte{5, 0}) }))))...)
			}
			return component(b)
		}},
	}
}
