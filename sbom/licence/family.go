package licence

import (
	"slices"
	"strings"
)

// A Family is what licences ask of those who pass a program on, as far as a
// policy needs it. It is a help for writing policies, and no legal advice.
type Family string

// The families.
const (
	PublicDomain   Family = "public-domain"   // asks nothing
	Permissive     Family = "permissive"      // asks for a notice
	WeakCopyleft   Family = "weak-copyleft"   // asks for the source of the library or the files it covers
	StrongCopyleft Family = "strong-copyleft" // asks for the source of the whole program
	Network        Family = "network"         // asks for it of those who only serve the program, too
	Restricted     Family = "restricted"      // forbids some use, as commerce or competition
	Unclassified   Family = "unclassified"    // not in the table, or a LicenseRef
)

// All are the families, the least demanding first.
var All = []Family{PublicDomain, Permissive, WeakCopyleft, StrongCopyleft, Network, Restricted, Unclassified}

// prefixes file identifiers under families: the longest prefix counts. It has
// those that packages of the common ecosystems use, and leaves the rest
// unclassified rather than guess.
var prefixes = map[string]Family{
	"0BSD": PublicDomain, "CC0-": PublicDomain, "Unlicense": PublicDomain, "MIT-0": PublicDomain, "blessing": PublicDomain,
	"SAX-PD": PublicDomain, "CC-PDDC": PublicDomain, "WTFPL": PublicDomain,

	"AFL-": Permissive, "Apache-": Permissive, "Artistic-2.0": Permissive, "BlueOak-": Permissive, "BSD-": Permissive,
	"BSL-1.0": Permissive, "BSD-Protection": StrongCopyleft, "BSD-3-Clause-No-Nuclear-": Restricted, "bzip2-": Permissive,
	"CC-BY-3.0": Permissive, "CC-BY-4.0": Permissive, "curl": Permissive, "FTL": Permissive, "HPND": Permissive, "ICU": Permissive,
	"IJG": Permissive, "ISC": Permissive, "libpng-": Permissive, "Libpng": Permissive, "libtiff": Permissive, "MIT": Permissive,
	"NCSA": Permissive, "NTP": Permissive, "OFL-": Permissive, "OpenSSL": Permissive, "PHP-": Permissive, "PostgreSQL": Permissive,
	"PSF-": Permissive, "Python-": Permissive, "Ruby": Permissive, "TCL": Permissive, "Unicode-": Permissive, "UPL-": Permissive,
	"W3C": Permissive, "X11": Permissive, "Zlib": Permissive, "zlib-": Permissive, "ZPL-": Permissive,

	"CDDL-": WeakCopyleft, "CPL-": WeakCopyleft, "EPL-": WeakCopyleft, "EUPL-": StrongCopyleft, "LGPL-": WeakCopyleft,
	"LGPLLR": WeakCopyleft, "MPL-": WeakCopyleft, "MS-PL": WeakCopyleft, "MS-RL": WeakCopyleft, "APSL-": WeakCopyleft,

	"GPL-": StrongCopyleft, "GFDL-": StrongCopyleft, "CC-BY-SA-": StrongCopyleft, "OSL-": Network, "Sleepycat": StrongCopyleft,
	"QPL-": StrongCopyleft, "CECILL-2": StrongCopyleft, "CECILL-B": Permissive, "CECILL-C": WeakCopyleft,

	"AGPL-": Network, "SSPL-": Restricted, "CPAL-": Network, "RPL-": Network,

	"BUSL-": Restricted, "CC-BY-NC-": Restricted, "CC-BY-ND-": Restricted, "Elastic-": Restricted, "PolyForm-": Restricted,
	"JSON": Restricted,
}

// FamilyOf is the family of one licence, given as the list writes it. An
// exception does not change it.
func FamilyOf(id string) Family {
	for n := len(id); n > 0; n-- {
		if f, ok := prefixes[id[:n]]; ok && (n == len(id) || endsWord(id[:n]) || id[n] == '-' || id[n] == '+') {
			return f
		}
	}
	return Unclassified
}

// endsWord reports whether a prefix stops where an identifier may go on with
// anything, as "GPL-" does, and "MIT" does not: "MITNFA" is something else.
func endsWord(prefix string) bool {
	return strings.HasSuffix(prefix, "-") || prefix == "CECILL-2"
}

// Families are the families of the licences that an expression names, in the
// order of [All]. For a choice that is more than a user has to take.
func (e Expression) Families() []Family {
	var list []Family
	e.each(func(n *node) { list = append(list, FamilyOf(n.id)) })
	slices.SortFunc(list, func(a, b Family) int { return slices.Index(All, a) - slices.Index(All, b) })
	return slices.Compact(list)
}
