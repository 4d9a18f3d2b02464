package evidence

import (
	"strings"

	packageurl "github.com/package-url/packageurl-go"
)

// PURL is the package URL of the component, without a version if it has none.
func (c Component) PURL() string {
	kind, namespace, name := string(c.Ecosystem), "", c.Name
	var q packageurl.Qualifiers
	switch c.Ecosystem {
	case Go, NPM, Composer:
		if i := strings.LastIndexByte(name, '/'); i > 0 {
			namespace, name = name[:i], name[i+1:]
		}
	case PyPI:
		name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	case WIT:
		kind = string(Generic)
		if ns, rest, ok := strings.Cut(name, ":"); ok {
			namespace, name = ns, rest
		}
	case Cargo, Gem, Hackage, NuGet, Generic:
	}
	if c.Commit != "" && c.Source != "" {
		q = packageurl.QualifiersFromMap(map[string]string{"vcs_url": "git+" + c.Source + "@" + c.Commit})
	}
	p := packageurl.NewPackageURL(kind, namespace, name, c.Version, q, "")
	return p.ToString()
}
