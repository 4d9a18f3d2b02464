package golang

import (
	"bytes"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// addStdlib adds the standard library. Its version is that of the compiler, which
// the producers section says, or, where a tool took that away, the variable
// runtime.buildVersion. A program that has neither shows by its build information
// that it was made by Go.
func (m *image) addStdlib(c *evidence.Collector, i *info) {
	lib := evidence.Component{Ecosystem: evidence.Go, Name: Stdlib}
	if version, e, ok := m.producersVersion(); ok {
		lib.Version, lib.Evidence = version, append(lib.Evidence, e)
	} else if version, e, ok := m.buildVersion(); ok {
		lib.Version, lib.Evidence = version, append(lib.Evidence, e)
	}
	if i != nil {
		first, _, _ := strings.Cut(i.text, "\n")
		lib.Evidence = append(lib.Evidence, i.evidence(0, first))
	}
	if len(lib.Evidence) > 0 {
		c.Add(lib)
	}
}

// producersVersion reads the version of Go from the producers section, where its
// linker writes it as that of the language and of the compiler. ok is false if
// there is none; the version is "" for one that is no release.
func (m *image) producersVersion() (version string, e evidence.Evidence, ok bool) {
	for _, p := range m.b.Metadata.Producers {
		if !goProducer(p) {
			continue
		}
		e = evidence.Evidence{
			Method: evidence.Producer, Section: "producers", Offset: producersOffset(m.b, p.Version),
			Text: p.Name + " " + p.Version, Confidence: sureProducers,
		}
		return release(p.Version), e, true
	}
	return "", e, false
}

func goProducer(p wasm.Producer) bool {
	return p.Field == "language" && p.Name == "Go" || p.Field == "processed-by" && p.Name == "Go cmd/compile"
}

// producersOffset is the offset in the file of a version in the producers
// section, or else of the section.
func producersOffset(b *wasm.Binary, version string) int64 {
	for _, s := range b.Sections {
		if s.ID == wasm.SectionCustom && s.Name == "producers" {
			return s.Body + int64(max(0, bytes.Index(b.Bytes(s.Body, s.Size), []byte(version))))
		}
	}
	return -1
}

// maxRelease bounds a version in bytes. The longest are those of releases with
// experiments, "go1.20.1-pre3 cl/474093167 +a813be86df".
const maxRelease = 64

// release takes the version out of what runtime.Version gives: "1.18.5" of
// "go1.18.5", also before the names of experiments. It is "" for a compiler that
// was built from a commit, "devel go1.27-4f0e …", which is no release.
func release(s string) string {
	s, _, _ = strings.Cut(s, " ")
	v, ok := strings.CutPrefix(s, "go")
	if !ok || len(v) < len("1") || len(v) > maxRelease || v[0] < '1' || v[0] > '9' {
		return ""
	}
	for i := range len(v) {
		if !isVersionByte(v[i]) {
			return ""
		}
	}
	return v
}

func isVersionByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '.' || b == '-' || b == '+'
}

// maxVersionTexts bounds the texts that are tried as the version of the program:
// Go's libraries mention versions here and there.
const maxVersionTexts = 64

// buildVersion finds the text "go1.…" that a variable of type string points to,
// whose length says where the version ends, since Go's texts have no terminator.
// ok is false if there is none, or if there are several that differ.
func (m *image) buildVersion() (version string, e evidence.Evidence, ok bool) {
	tried := 0
	for at := range m.find([]byte("go1.")) {
		if tried++; tried > maxVersionTexts {
			break
		}
		text, found := m.versionAt(at)
		switch {
		case !found:
		case ok && release(text) != version:
			return "", e, false
		case !ok:
			version, ok = release(text), true
			e = evidence.Evidence{
				Method: evidence.Banner, Section: "data", Offset: m.offset(at), Text: text, Confidence: sureVersion,
			}
		}
	}
	return version, e, ok
}

// versionAt reads the text at at with the length that the header of a string
// gives it.
func (m *image) versionAt(at place) (string, bool) {
	raw := m.read(at, maxRelease)
	most := len("go1.")
	for most < len(raw) && isVersionByte(raw[most]) {
		most++
	}
	for n := most; n > len("go1."); n-- {
		if last := raw[n-1]; last < '0' || last > '9' {
			continue
		}
		for range m.findString(at.address, uint64(n)) {
			return string(raw[:n]), true
		}
	}
	return "", false
}
