package hostile

import (
	"bytes"
	"slices"
)

// counts promise entries that never come.
func counts() []Bomb {
	var list []Bomb
	for _, s := range []struct {
		id   byte
		name string
	}{
		{secType, "types"},
		{secImport, "imports"},
		{secFunction, "functions"},
		{secTable, "tables"},
		{secMemory, "memories"},
		{secTag, "tags"},
		{secGlobal, "globals"},
		{secExport, "exports"},
		{secElement, "element segments"},
		{secCode, "bodies"},
		{secData, "data segments"},
	} {
		list = append(list, Bomb{Name: "four billion " + s.name, Refused: true, Make: func(int) []byte {
			return module(section(s.id, leb(uint32(1<<32-1))))
		}})
	}
	return append(list, []Bomb{
		{Name: "a section of four billion bytes", Refused: true, Make: func(int) []byte {
			return module(append([]byte{secType}, leb(uint32(1<<32-1))...))
		}},
		{Name: "a count that never ends", Refused: true, Make: func(size int) []byte {
			return module(section(secType, bytes.Repeat([]byte{0x80}, size)))
		}},
		{Name: "a section size of more than 32 bits", Refused: true, Make: func(int) []byte {
			return module([]byte{secType, 0xff, 0xff, 0xff, 0xff, 0x7f})
		}},
		{Name: "a name of four billion bytes", Refused: true, Make: func(int) []byte {
			return module(section(secImport, []byte{1}, leb(uint32(1<<32-1))))
		}},
		{Name: "custom sections of one byte", Make: func(size int) []byte {
			all, _ := several(size, always(0, 1, 0))
			return module(all)
		}},
		{Name: "name sections, each again", Make: func(size int) []byte {
			one := custom("name", []byte{1}, sized(vec(cat([]byte{0}, str("f")))))
			all, _ := several(size, always(one...))
			return module(all)
		}},
		{Name: "every section twice", Refused: true, Make: func(int) []byte {
			return module(oneType, oneType)
		}},
		{Name: "data sections before everything", Refused: true, Make: func(int) []byte {
			return module(section(secData, []byte{0}), oneType)
		}},
	}...)
}

// types are bombs of the type section.
func types() []Bomb {
	typesOf := func(entry func(i int) []byte) func(int) []byte {
		return func(size int) []byte { return module(section(secType, fill(size, entry))) }
	}
	return []Bomb{
		{Name: "function types of three bytes", Make: typesOf(always(funcType...))},
		{Name: "structures of two bytes", Make: typesOf(always(0x5f, 0))},
		{Name: "recursive groups of nothing", Make: typesOf(always(0x4e, 0))},
		{Name: "one recursive group of all types", Make: func(size int) []byte {
			return module(section(secType, []byte{1, 0x4e}, fill(size, always(0x5f, 0))))
		}},
		{Name: "a recursive group of four billion", Refused: true, Make: func(int) []byte {
			return module(section(secType, []byte{1, 0x4e}, leb(uint32(1<<32-1))))
		}},
		{Name: "function types of a thousand parameters", Make: typesOf(always(wide(true, false)...))},
		{Name: "a function type of too many parameters", Refused: true, Make: func(size int) []byte {
			return module(section(secType, []byte{1, 0x60}, leb(size), bytes.Repeat([]byte{0x7f}, size), []byte{0}))
		}},
		{Name: "a structure of as many fields as fit", Make: func(size int) []byte {
			return module(section(secType, []byte{1, 0x5f}, fill(min(size, 20_000), always(0x7f, 0))))
		}},
		{Name: "a chain of subtypes", Refused: true, Make: typesOf(func(i int) []byte {
			if i == 0 {
				return []byte{0x50, 0, 0x5f, 0}
			}
			return cat([]byte{0x50, 1}, leb(i-1), []byte{0x5f, 0})
		})},
		{Name: "chains of 63 subtypes", Make: typesOf(func(i int) []byte {
			if i%63 == 0 {
				return []byte{0x50, 0, 0x5f, 0}
			}
			return cat([]byte{0x50, 1}, leb(i-1), []byte{0x5f, 0})
		})},
		{Name: "supertypes by the thousand", Refused: true, Make: func(size int) []byte {
			return module(section(secType, []byte{2}, []byte{0x50, 0, 0x5f, 0}, []byte{0x50}, fill(size, always(0)), []byte{0x5f, 0}))
		}},
		{Name: "a type that is its own supertype", Refused: true, Make: func(int) []byte {
			return module(section(secType, []byte{1, 0x50, 1, 0, 0x5f, 0}))
		}},
		{Name: "two equal trees of types, each twice in the next", Make: twins},
		{Name: "equal recursive groups that refer to the one before", Make: typesOf(func(i int) []byte {
			// (rec (type (struct (field (ref null 2i))  …))) against the same with the last.
			return cat([]byte{0x4e, 2, 0x5f, 1, 0x63}, sleb(2*i+1), []byte{0}, []byte{0x5f, 1, 0x63}, sleb(2*i), []byte{0})
		})},
		{Name: "large recursive groups, all equal", Make: func(size int) []byte {
			const group = 100
			return module(section(secType, fill(size, func(i int) []byte {
				return append([]byte{0x4e}, repeat(group, func(k int) []byte {
					return cat([]byte{0x5f, 1, 0x63}, sleb(group*i+(k+1)%group), []byte{0})
				})...)
			})))
		}},
		{Name: "continuations of continuations", Make: typesOf(func(i int) []byte {
			if i == 0 {
				return funcType
			}
			return cat([]byte{0x5d}, sleb(i-1))
		})},
		{Name: "a reference to type four billion", Refused: true, Make: func(int) []byte {
			return module(section(secType, []byte{1, 0x5f, 1, 0x63, 0xff, 0xff, 0xff, 0xff, 0x0f, 0}))
		}},
	}
}

// twins is two trees of structures, each type of which holds the one before
// twice: a comparison that does not remember takes 2^n steps. Globals of the
// one tree that are set to nulls of the other ask for it.
func twins(size int) []byte {
	n := max(2, size/12)
	tree := func(base int) []byte {
		b := []byte{0x5f, 0}
		for i := 1; i < n; i++ {
			ref := cat([]byte{0x63}, sleb(base+i-1), []byte{0})
			b = append(b, cat([]byte{0x5f, 2}, ref, ref)...)
		}
		return b
	}
	null := cat([]byte{0x63}, sleb(n-1), []byte{0, 0xd0}, sleb(2*n-1), endOfBody)
	return module(section(secType, leb(2*n), tree(0), tree(n)), section(secGlobal, vec(null)))
}

// bodies are bombs of code.
func bodies() []Bomb {
	code := func(b ...byte) func(int) []byte {
		return func(size int) []byte { return bodyOf(bytes.Repeat(b, max(1, size/len(b)))) }
	}
	nested := func(open, end []byte) func(int) []byte {
		return func(size int) []byte {
			n := max(1, size/(len(open)+len(end)))
			return bodyOf(bytes.Repeat(open, n), bytes.Repeat(end, n))
		}
	}
	return slices.Concat([]Bomb{
		{Name: "a million empty functions", Make: func(size int) []byte { return functions(max(1, size/4), always(emptyBody...)) }},
		{Name: "functions without bodies", Refused: true, Make: func(size int) []byte {
			return module(oneType, section(secFunction, fill(size, always(0))))
		}},
		{Name: "a body of four billion bytes", Refused: true, Make: func(int) []byte {
			return module(oneType, section(secFunction, []byte{1, 0}), section(secCode, []byte{1}, leb(uint32(1<<32-1)), emptyBody))
		}},
		{Name: "blocks in blocks", Make: nested([]byte{0x02, 0x40}, endOfBody)},
		{Name: "loops in loops", Make: nested([]byte{0x03, 0x40}, endOfBody)},
		{Name: "conditions in conditions", Make: nested([]byte{0x41, 0, 0x04, 0x40}, endOfBody)},
		{Name: "old exception handlers in handlers", Make: nested([]byte{0x06, 0x40}, []byte{0x19, 0x0b})},
		{Name: "exception handlers in handlers", Make: nested([]byte{0x1f, 0x40, 0}, endOfBody)},
		{Name: "blocks that nothing ends", Refused: true, Make: code(0x02, 0x40)},
		{Name: "ends without blocks", Refused: true, Make: code(0x0b)},
		{Name: "a load of constants that nothing takes", Refused: true, Make: code(0x41, 0)},
		{Name: "nothing but no-ops", Make: code(0x01)},
		{Name: "unreachable, again and again", Make: code(0x00)},
		{Name: "opcodes that do not exist", Refused: true, Make: code(0xff)},
		{Name: "prefixed opcodes as long as numbers may be", Refused: true, Make: code(0xfd, 0xff, 0xff, 0xff, 0xff, 0x0f)},
		{Name: "numbers padded to their full length", Make: code(0x41, 0x80, 0x80, 0x80, 0x80, 0x00, 0x1a)},
		{Name: "a constant that never ends", Refused: true, Make: func(size int) []byte {
			return bodyOf([]byte{0x41}, bytes.Repeat([]byte{0x80}, size))
		}},
		{Name: "a branch table of four billion", Refused: true, Make: func(int) []byte {
			return bodyOf([]byte{0x41, 0, 0x0e}, leb(uint32(1<<32-1)))
		}},
		{Name: "one branch table", Make: func(size int) []byte {
			return bodyOf([]byte{0x41, 0, 0x0e}, fill(size, always(0)), []byte{0})
		}},
		{Name: "branch tables of one target", Make: code(0x41, 0, 0x0e, 1, 0, 0)},
		{Name: "handler clauses by the thousand", Make: func(size int) []byte {
			return bodyOf([]byte{0x1f, 0x40}, fill(size, always(0x02, 0)), endOfBody)
		}},
		{Name: "a select of four billion types", Refused: true, Make: func(int) []byte {
			return bodyOf([]byte{0x1c}, leb(uint32(1<<32-1)))
		}},
	}, locals(), widths())
}

// locals are declared in a few bytes, as many as one likes.
func locals() []Bomb {
	withLocals := func(groups []byte) []byte { return sized(cat(groups, endOfBody)) }
	return []Bomb{
		{Name: "four billion locals in six bytes", Refused: true, Make: func(int) []byte {
			return functions(1, always(withLocals(cat([]byte{1}, leb(uint32(1<<32-1)), []byte{0x7f}))...))
		}},
		{Name: "locals whose sum overflows", Refused: true, Make: func(int) []byte {
			group := cat(leb(uint32(1<<31)), []byte{0x7f})
			return functions(1, always(withLocals(vec(group, group))...))
		}},
		{Name: "four billion groups of locals", Refused: true, Make: func(int) []byte {
			return functions(1, always(withLocals(leb(uint32(1<<32-1)))...))
		}},
		{Name: "groups of no locals", Make: func(size int) []byte {
			return functions(1, always(withLocals(fill(size, always(0, 0x7f)))...))
		}},
		{Name: "functions of 50,000 locals each", Make: func(size int) []byte {
			one := withLocals(cat([]byte{1}, leb(50_000), []byte{0x7f}))
			return functions(max(1, size/(len(one)+1)), always(one...))
		}},
		{Name: "functions of 50,000 locals that have to be set first", Make: func(size int) []byte {
			one := withLocals(cat([]byte{1}, leb(50_000), []byte{0x64, 0x70}))
			return functions(max(1, size/(len(one)+1)), always(one...))
		}},
		{Name: "functions of 50,000 locals that use the last", Make: func(size int) []byte {
			one := sized(cat([]byte{1}, leb(50_000), []byte{0x7f}, []byte{0x20}, leb(49_999), []byte{0x1a}, endOfBody))
			return functions(max(1, size/(len(one)+1)), always(one...))
		}},
		{Name: "functions of 50,000 groups of one local", Make: func(size int) []byte {
			one := withLocals(repeat(min(50_000, size/2), func(i int) []byte { return []byte{1, 0x7f - byte(i%2)} }))
			return functions(max(1, size/len(one)), always(one...))
		}},
	}
}

// widths are instructions of two or three bytes that move 1,000 values.
func widths() []Bomb {
	// Type 0 is nothing, 1 takes 1,000 values, 2 gives them, 3 does both.
	wideTypes := section(secType, vec(funcType, wide(true, false), wide(false, true), wide(true, true)))
	of := func(code ...[]byte) []byte {
		return module(wideTypes, section(secFunction, []byte{3, 0, 2, 1}),
			section(secCode, vec(body(code...), body([]byte{0x00}), body())))
	}
	times := func(size int, code ...byte) []byte { return bytes.Repeat(code, max(1, size/len(code))) }
	drops := bytes.Repeat([]byte{0x1a}, wideArity)
	return []Bomb{
		{Name: "calls that leave a thousand values each", Refused: true, Make: func(size int) []byte {
			return of(times(size, 0x10, 1))
		}},
		{Name: "calls that leave a thousand values each and take them again", Make: func(size int) []byte {
			return of(times(size, 0x10, 1, 0x10, 2))
		}},
		{Name: "unreachable calls that leave a thousand values each", Make: func(size int) []byte {
			return of([]byte{0x00}, times(size, 0x10, 1), []byte{0x00})
		}},
		{Name: "blocks that hand on a thousand values", Make: func(size int) []byte {
			return of([]byte{0x10, 1}, times(size, 0x02, 0x03, 0x0b), drops)
		}},
		{Name: "blocks in blocks that hand on a thousand values", Make: func(size int) []byte {
			n := max(1, size/3)
			return of([]byte{0x10, 1}, times(2*n, 0x02, 0x03), times(n, 0x0b), drops)
		}},
		{Name: "branches that carry a thousand values", Make: func(size int) []byte {
			return of([]byte{0x02, 0x02, 0x10, 1}, times(size, 0x41, 0, 0x0d, 0), []byte{0x0b}, drops)
		}},
		{Name: "a branch table that carries a thousand values", Make: func(size int) []byte {
			return of([]byte{0x02, 0x02, 0x10, 1, 0x41, 0, 0x0e}, fill(size, always(0)), []byte{0, 0x0b}, drops)
		}},
		{Name: "a branch table to a hundred blocks of a thousand values", Make: func(size int) []byte {
			const depth = 100
			table := fill(size, func(i int) []byte { return []byte{byte(i % depth)} })
			return of(bytes.Repeat([]byte{0x02, 0x02}, depth), []byte{0x10, 1, 0x41, 0, 0x0e}, table, []byte{0},
				bytes.Repeat([]byte{0x0b}, depth), drops)
		}},
		{Name: "an unreachable branch table to a hundred blocks of a thousand values", Make: func(size int) []byte {
			const depth = 100
			table := fill(size, func(i int) []byte { return []byte{byte(i % depth)} })
			return of(bytes.Repeat([]byte{0x02, 0x02}, depth), []byte{0x00, 0x0e}, table, []byte{0},
				bytes.Repeat([]byte{0x0b}, depth), drops)
		}},
	}
}
