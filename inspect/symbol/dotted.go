package symbol

import "strings"

// isAssemblyScript recognises the internal names of AssemblyScript: a source
// path without its extension, an element, "#" before a method.
func isAssemblyScript(name string, sh shape) bool {
	switch {
	case sh.dot && !strings.HasPrefix(name, "~lib/"), sh.paren, sh.space:
		return false
	case strings.HasPrefix(name, "start:") && sh.slash, strings.HasPrefix(name, "~"), strings.HasPrefix(name, "assembly/"):
		return true
	case strings.HasPrefix(name, "byn$"), strings.IndexByte(name, ':') >= 0:
		return false // functions of components are "ns:package/interface#function"
	}
	return sh.slash && sh.hash
}

// assemblyScriptFile gives the source file: all before the last slash that is
// not among type arguments.
func assemblyScriptFile(name string) string {
	if after, ok := strings.CutPrefix(name, "start:"); ok {
		if i := strings.IndexByte(after, '~'); i > 0 {
			after = after[:i] // "start:file~anonymous|0"
		}
		return after
	}
	if i := strings.IndexByte(name, '<'); i >= 0 {
		name = name[:i]
	}
	i := strings.LastIndexByte(name, '/')
	if i <= 0 {
		return ""
	}
	return name[:i]
}

// zigMarks occur in the names that Zig makes for instances of generic functions
// and for types without a name.
var zigMarks = [...]string{"__anon_", "__struct_", "__enum_", "__union_", "__opaque_", "__func_"}

func isZig(name string) bool {
	if strings.Contains(name, "((function '") {
		return true // an argument of compile time, "debug.FullPanic((function 'defaultPanic')).call"
	}
	if !strings.Contains(name, "__") {
		return false
	}
	for _, m := range zigMarks {
		_, after, ok := strings.Cut(name, m)
		if ok && after != "" && isDigit(after[0]) {
			return true
		}
	}
	return false
}

// zigNamespace is the first element of a Zig name: the file of a package's root.
func zigNamespace(name string) string {
	if i := strings.IndexAny(name, ".("); i > 0 && name[i] == '.' {
		return name[:i]
	}
	return ""
}

// kotlinPackage is the run of lower-case elements that a Kotlin name begins
// with: packages are lower case by convention, classes are not. The last
// element is the function.
func kotlinPackage(name string) string {
	end, start := 0, 0
	for i := 0; i < len(name); i++ {
		if name[i] != '.' {
			if !isIdent(name[i]) {
				break // "<init>", "<get-size>"
			}
			continue
		}
		if b := name[start]; b < 'a' || b > 'z' {
			break
		}
		end, start = i, i+1
	}
	return name[:end]
}

// moonBitPackage reads "@user/module/package.Function" and "…::Type::method".
func moonBitPackage(name string) string {
	if !strings.HasPrefix(name, "@") {
		return ""
	}
	if i := strings.IndexAny(name, ".|:"); i > 0 {
		return name[1:i]
	}
	return ""
}

// dModule gives the module of a D name, "_D" and length-prefixed identifiers;
// the last one is the function.
func dModule(name string) string {
	parts := dParts(name)
	if len(parts) < 2 {
		return ""
	}
	// Modules are lower case by convention, so types end them.
	n := 1
	for n < len(parts)-1 && (parts[n][0] < 'A' || parts[n][0] > 'Z') {
		n++
	}
	return strings.Join(parts[:n], ".")
}

func dText(name string) string {
	parts := dParts(name)
	if len(parts) == 0 {
		return name
	}
	return strings.Join(parts, ".")
}

func dParts(name string) []string {
	var parts []string
	s := strings.TrimPrefix(name, "_D")
	for len(parts) < 32 {
		n, at := decimal(s, 0)
		if n <= 0 || n > len(s)-at {
			break
		}
		parts = append(parts, s[at:at+n])
		s = s[at+n:]
	}
	return parts
}
