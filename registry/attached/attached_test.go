package attached

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// What packages of the client come from is a Source as it is.
var _ Source = client.Target(nil)

// subject is what everything in these tests is attached to.
var subject = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("subject"), Size: 7}

// store is a Source in memory.
type store struct {
	content   map[digest.Digest][]byte
	referrers []ocispec.Descriptor
	fetched   int
	fail      error // of every Fetch
}

func (s *store) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	s.fetched++
	if s.fail != nil {
		return nil, s.fail
	}
	data, ok := s.content[d.Digest]
	if !ok {
		return nil, fmt.Errorf("%s: %w", d.Digest, errdef.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (s *store) Referrers(_ context.Context, d ocispec.Descriptor, _ string, fn func([]ocispec.Descriptor) error) error {
	if d.Digest != subject.Digest {
		return fmt.Errorf("asked about %s", d.Digest)
	}
	for page := range slices.Chunk(s.referrers, 3) {
		if err := fn(page); err != nil {
			return fmt.Errorf("page: %w", err)
		}
	}
	return nil
}

func (s *store) put(data []byte) digest.Digest {
	if s.content == nil {
		s.content = map[digest.Digest][]byte{}
	}
	d := digest.FromBytes(data)
	s.content[d] = data
	return d
}

// file is a layer: its media type and content.
type file struct{ mediaType, text string }

// attach adds a referrer and gives its digest.
func (s *store) attach(artifactType string, annotations map[string]string, files ...file) digest.Digest {
	m := manifest{ArtifactType: artifactType, Layers: []layer{}}
	for _, f := range files {
		m.Layers = append(m.Layers, layer{
			MediaType: f.mediaType, Digest: s.put([]byte(f.text)), Size: int64(len(f.text)),
			Annotations: map[string]string{ocispec.AnnotationTitle: "a\tfile"},
		})
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return s.refer(artifactType, annotations, text)
}

func (s *store) refer(artifactType string, annotations map[string]string, manifest []byte) digest.Digest {
	d := s.put(manifest)
	s.referrers = append(s.referrers, ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: int64(len(manifest)), ArtifactType: artifactType, Annotations: annotations,
	})
	return d
}

// Documents of each kind.
const (
	cdxText = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"serde","purl":"pkg:cargo/serde@1.0.1"}]}`
	cdxXML  = `<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components><component type="library">` +
		`<name>a</name><purl>pkg:cargo/a@1.0.0</purl></component></components></bom>`
	spdxText = `{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"SPDXRef-1","name":"libc",` +
		`"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:cargo/libc@0.2.1"}]}]}`
	spdxTag = "SPDXVersion: SPDX-2.3\nPackageName: zlib\nSPDXID: SPDXRef-1\nPackageVersion: 1.3\n"
	vexText = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/1","author":"A","version":1,` +
		`"timestamp":"2026-01-02T03:04:05Z","statements":[{"vulnerability":{"name":"CVE-2026-1"},"products":[{"@id":"pkg:oci/app"}],"status":"fixed"}]}`
	cdxVEX  = `{"bomFormat":"CycloneDX","vulnerabilities":[{"id":"CVE-2026-1","analysis":{"state":"resolved"},"affects":[{"ref":"pkg:oci/app"}]}]}`
	cdxBoth = `{"bomFormat":"CycloneDX","components":[{"name":"b","purl":"pkg:cargo/b@1.0.0"}],` +
		`"vulnerabilities":[{"id":"CVE-2026-1","analysis":{"state":"resolved"},"affects":[{"ref":"pkg:oci/app"}]}]}`
	cdxWrong = `{"bomFormat":"CycloneDX","components":[],"vulnerabilities":[{"id":"CVE-2026-1","analysis":{"state":"fine"}}]}`
)

// summary says in a line each what was read: the kind and media type, and the
// components or vulnerabilities, or the problem.
func summary(a *Attachments) []string {
	var list []string
	for _, s := range a.SBOMs {
		text := "sbom " + s.MediaType
		if s.Document != nil {
			for _, c := range s.Document.Root.Components {
				text += " " + c.PURL()
			}
		}
		list = append(list, text+problem(s.Problem))
	}
	for _, v := range a.VEX {
		text := "vex " + v.MediaType
		if v.Document != nil {
			for _, s := range v.Document.Statements {
				text += " " + s.Vulnerability
			}
		}
		list = append(list, text+problem(v.Problem))
	}
	if a.Omitted != "" {
		list = append(list, "omitted: "+a.Omitted)
	}
	return list
}

func problem(s string) string {
	if s == "" {
		return ""
	}
	return " ! " + s
}

func TestRead(t *testing.T) {
	const cdx, spdxJSON, json = "application/vnd.cyclonedx+json", "application/spdx+json", "application/json"
	tests := []struct {
		name   string
		attach func(s *store)
		want   []string
	}{
		{name: "nothing", attach: func(*store) {}},
		{
			name:   "CycloneDX by the artifact type",
			attach: func(s *store) { s.attach(cdx, nil, file{"application/octet-stream", cdxText}) },
			want:   []string{"sbom application/vnd.cyclonedx+json pkg:cargo/serde@1.0.1"},
		},
		{
			name: "CycloneDX in XML by the media type of the layer",
			attach: func(s *store) {
				s.attach("sbom/example", nil, file{"application/vnd.cyclonedx+xml; version=1.6", cdxXML})
			},
			want: []string{"sbom application/vnd.cyclonedx+xml; version=1.6 pkg:cargo/a@1.0.0"},
		},
		{
			name: "several files of one referrer, of which one is something else",
			attach: func(s *store) {
				s.attach("", nil, file{spdxJSON, spdxText}, file{"text/spdx", spdxTag}, file{json, cdxText}, file{"text/spdx+json", spdxText})
			},
			want: []string{
				"sbom application/spdx+json pkg:cargo/libc@0.2.1", "sbom text/spdx pkg:generic/zlib@1.3", "sbom text/spdx+json pkg:cargo/libc@0.2.1",
			},
		},
		{
			name:   "an empty layer",
			attach: func(s *store) { s.attach(cdx, nil, file{ocispec.MediaTypeEmptyJSON, "{}"}) },
		},
		{
			name:   "OpenVEX",
			attach: func(s *store) { s.attach("application/openvex+json", nil, file{json, vexText}) },
			want:   []string{"vex application/openvex+json CVE-2026-1"},
		},
		{
			name:   "CycloneDX that has statements alone",
			attach: func(s *store) { s.attach(cdx, nil, file{cdx, cdxVEX}) },
			want:   []string{"vex application/vnd.cyclonedx+json CVE-2026-1"},
		},
		{
			name:   "CycloneDX that has both",
			attach: func(s *store) { s.attach(cdx, nil, file{cdx, cdxBoth}) },
			want:   []string{"sbom application/vnd.cyclonedx+json pkg:cargo/b@1.0.0", "vex application/vnd.cyclonedx+json CVE-2026-1"},
		},
		{
			name: "what a wreg derived is not the publisher's",
			attach: func(s *store) {
				s.attach(cdx, map[string]string{"io.wreg.producer": "other", "io.wreg.derived": "sbom"}, file{cdx, cdxText})
				s.attach("application/vnd.wreg.sbom.v1+json", nil, file{cdx, cdxText})
			},
		},
		{
			name: "what names a producer and is not derived is the publisher's",
			attach: func(s *store) {
				s.attach(cdx, map[string]string{"io.wreg.producer": "other"}, file{cdx, cdxText})
			},
			want: []string{"sbom application/vnd.cyclonedx+json pkg:cargo/serde@1.0.1"},
		},
		{
			name: "broken ones hide no others",
			attach: func(s *store) {
				s.attach(cdx, nil, file{cdx, "{"}, file{cdx, cdxText}, file{MediaTypeOpenVEX, "{}"}, file{cdx, cdxWrong})
			},
			want: []string{
				`sbom application/vnd.cyclonedx+json ! read CycloneDX: not a bill of materials of this format: not usable JSON: unexpected end of JSON input`,
				"sbom application/vnd.cyclonedx+json pkg:cargo/serde@1.0.1",
				"sbom application/vnd.cyclonedx+json",
				"vex application/vnd.openvex+json ! not a VEX document: neither OpenVEX nor CycloneDX",
				`vex application/vnd.cyclonedx+json ! not a VEX document: vulnerability 0: status ""`,
			},
		},
		{
			name:   "a manifest that is none, of a known type",
			attach: func(s *store) { s.refer(cdx, nil, []byte("[")) },
			want:   []string{"sbom application/vnd.cyclonedx+json ! the manifest cannot be read: unexpected end of JSON input"},
		},
		{
			name:   "a manifest that is none, of another type",
			attach: func(s *store) { s.refer("application/vnd.example.signature", nil, []byte("[")) },
		},
		{
			name:   "a manifest that is too large",
			attach: func(s *store) { s.refer(MediaTypeOpenVEX, nil, bytes.Repeat([]byte(" "), maxManifest+1)) },
			want:   []string{"vex application/vnd.openvex+json ! it has 262145 bytes; at most 262144 are read"},
		},
		{
			name: "a layer that is not there",
			attach: func(s *store) {
				s.attach(cdx, nil, file{cdx, cdxText})
				delete(s.content, digest.FromString(cdxText))
			},
			want: []string{"sbom application/vnd.cyclonedx+json ! " + digest.FromString(cdxText).String() + " is not there"},
		},
		{
			name: "a layer with other content",
			attach: func(s *store) {
				s.attach(cdx, nil, file{cdx, cdxText})
				s.content[digest.FromString(cdxText)] = []byte(strings.Replace(cdxText, "serde", "sorde", 1))
			},
			want: []string{"sbom application/vnd.cyclonedx+json ! the content of " + digest.FromString(cdxText).String() + " has another size or digest"},
		},
		{
			name: "a digest that is none",
			attach: func(s *store) {
				s.refer(cdx, nil, []byte(`{"layers":[{"mediaType":"text/spdx","digest":"sha256:../../x","size":1}]}`))
			},
			want: []string{`sbom text/spdx ! "sha256:../../x" is no digest`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &store{}
			tt.attach(s)
			got, err := Read(t.Context(), s, subject, Limits{})
			if err != nil {
				t.Fatalf("Read() = %v", err)
			}
			if diff := cmp.Diff(tt.want, summary(got)); diff != "" {
				t.Errorf("Read() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadSaysWhere(t *testing.T) {
	s := &store{}
	d := s.attach("application/spdx+json", nil, file{"application/json", spdxText})
	got, err := Read(t.Context(), s, subject, Limits{})
	if err != nil || len(got.SBOMs) != 1 {
		t.Fatalf("Read() = %d bills of materials, %v; want 1", len(got.SBOMs), err)
	}
	want := Place{Referrer: d, Blob: digest.FromString(spdxText), MediaType: "application/spdx+json", Title: "a\uFFFDfile"}
	if diff := cmp.Diff(want, got.SBOMs[0].Place); diff != "" {
		t.Errorf("place (-want +got):\n%s", diff)
	}
}

// What lies behind a limit is not read, and the result says so.
func TestReadKeepsLimits(t *testing.T) {
	const cdx = "application/vnd.cyclonedx+json"
	many := func(s *store) {
		for i := range 10 {
			s.attach(cdx, nil, file{cdx, strings.Replace(cdxText, "1.0.1", fmt.Sprintf("1.0.%d", i), 2)})
		}
	}
	crowd := func(s *store) {
		for i := range 10 {
			s.attach("application/vnd.example.signature", nil, file{"application/json", fmt.Sprint(i)})
		}
		s.attach(cdx, nil, file{cdx, cdxText})
	}
	tests := []struct {
		name         string
		attach       func(s *store)
		limits       Limits
		documents    int // that could be read
		fetched      int // manifests and documents
		omitted      string
		problemsHave string // in all problems
	}{
		{
			name: "referrers that are listed", attach: many, limits: Limits{Listed: 4}, documents: 4, fetched: 8,
			omitted: "there are more than 4 referrers",
		},
		{
			name: "referrers that are opened", attach: many, limits: Limits{Referrers: 4}, documents: 4, fetched: 8,
			omitted: "more than 4 referrers may have documents",
		},
		{
			name: "referrers of other types hide none", attach: crowd, limits: Limits{Referrers: 1}, documents: 1, fetched: 2,
			omitted: "more than 1 referrers may have documents",
		},
		{
			name: "documents", attach: many, limits: Limits{Documents: 3}, documents: 3, fetched: 13,
			omitted: "there are more than 3 documents",
		},
		{
			name: "bytes of one", attach: many, limits: Limits{Bytes: 10}, fetched: 10, problemsHave: "at most 10 are read",
		},
		{
			name: "bytes of all", attach: many, limits: Limits{Total: int64(3*len(cdxText) + 1)}, documents: 3, fetched: 13,
			omitted:      fmt.Sprintf("the documents have more than %d bytes", 3*len(cdxText)+1),
			problemsHave: "not read",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &store{}
			tt.attach(s)
			got, err := Read(t.Context(), s, subject, tt.limits)
			if err != nil {
				t.Fatalf("Read() = %v", err)
			}
			documents := 0
			for _, b := range got.SBOMs {
				if b.Document != nil {
					documents++
				}
			}
			if documents != tt.documents || s.fetched != tt.fetched || got.Omitted != tt.omitted {
				t.Errorf("Read(%+v) has %d documents, fetched %d times, omitted %q; want %d, %d, %q",
					tt.limits, documents, s.fetched, got.Omitted, tt.documents, tt.fetched, tt.omitted)
			}
			for _, p := range got.Problems() {
				if tt.problemsHave == "" || !strings.Contains(p.Text, tt.problemsHave) {
					t.Errorf("Read(%+v) has the problem %q; want %q", tt.limits, p.Text, tt.problemsHave)
				}
			}
		})
	}
}

// A failing source is no fault of a publisher.
func TestReadFailsWithTheSource(t *testing.T) {
	s := &store{fail: context.DeadlineExceeded}
	s.attach("application/vnd.cyclonedx+json", nil, file{"", cdxText})
	if got, err := Read(t.Context(), s, subject, Limits{}); !errors.Is(err, context.DeadlineExceeded) || got != nil {
		t.Errorf("Read() = %v, %v; want %v", got, err, context.DeadlineExceeded)
	}
}

// The same document at two places is read once.
func TestReadTwice(t *testing.T) {
	s := &store{}
	for i := range 5 {
		s.attach("application/spdx+json", map[string]string{"n": fmt.Sprint(i)}, file{fmt.Sprintf("application/x-%d", i), spdxText})
	}
	got, err := Read(t.Context(), s, subject, Limits{Total: int64(len(spdxText))})
	if err != nil || len(got.SBOMs) != 5 || s.fetched != 6 || got.Omitted != "" {
		t.Errorf("Read() = %d bills of materials, fetched %d times, omitted %q, %v; want 5, 6, none",
			len(got.SBOMs), s.fetched, got.Omitted, err)
	}
}

func TestDeclared(t *testing.T) {
	s := &store{}
	s.attach("application/vnd.cyclonedx+json", nil, file{"", cdxText}, file{"", cdxBoth}, file{"", "{"})
	s.attach("application/spdx+json", nil, file{"", spdxText})
	a, err := Read(t.Context(), s, subject, Limits{})
	if err != nil {
		t.Fatalf("Read() = %v", err)
	}
	var got []string
	for _, c := range a.Declared().All() {
		got = append(got, c.PURL())
	}
	if diff := cmp.Diff([]string{"pkg:cargo/b@1.0.0", "pkg:cargo/libc@0.2.1", "pkg:cargo/serde@1.0.1"}, got); diff != "" || !a.Published() {
		t.Errorf("Declared(), published %t (-want +got):\n%s", a.Published(), diff)
	}
	none := &Attachments{SBOMs: []SBOM{{Problem: "broken"}}}
	if d := none.Declared(); d != nil || none.Published() {
		t.Errorf("Declared() of nothing that can be read = %v, published %t", d, none.Published())
	}
}

func TestStatements(t *testing.T) {
	manifest := digest.FromString("manifest")
	const sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	of := Subject{Manifest: manifest, Repository: "example.org/team/App", Tags: []string{"1.0"}}
	doc := &sbom.Document{Subject: sbom.Subject{SHA256: sha256}, Root: &sbom.Unit{Components: []evidence.Component{
		{Ecosystem: evidence.Go, Name: "example.org/app", Version: "v1.0.0", Class: evidence.Proven, Main: true},
		{Ecosystem: evidence.Go, Name: "golang.org/x/net", Version: "v0.1.0", Class: evidence.Proven},
	}}}
	findings := []scan.Finding{{Finding: vuln.Finding{ID: "GO-1", Aliases: []string{"CVE-1"}, PURL: "pkg:golang/golang.org/x/net@v0.1.0"}}}
	tests := []struct {
		name    string
		product vex.Product
		want    bool
	}{
		{"the manifest, by a package URL", vex.Product{ID: "pkg:oci/app@sha256%3A" + manifest.Encoded()}, true},
		{"the manifest in another registry", vex.Product{ID: "pkg:oci/b@sha256:" + manifest.Encoded() + "?repository_url=a.example/b"}, true},
		{"the manifest, by its hash", vex.Product{SHA256: manifest.Encoded()}, true},
		{"an image reference", vex.Product{ID: "example.org/team/app@" + manifest.String()}, true},
		{"the file", vex.Product{SHA256: strings.ToUpper(sha256)}, true},
		{"the name", vex.Product{PURL: "pkg:oci/app"}, true},
		{"the repository", vex.Product{PURL: "pkg:oci/app?repository_url=example.org/team/App"}, true},
		{"the tag", vex.Product{PURL: "pkg:oci/app?tag=1.0"}, true},
		{"what the file is", vex.Product{ID: "pkg:golang/example.org/app@v1.0.0"}, true},
		{"the component", vex.Product{ID: "pkg:golang/golang.org/x/net@v0.1.0"}, true},
		{"another tag", vex.Product{PURL: "pkg:oci/app?tag=2.0"}, false},
		{"another repository", vex.Product{PURL: "pkg:oci/app?repository_url=example.org/other/app"}, false},
		{"another manifest", vex.Product{ID: "pkg:oci/app@sha256%3A" + sha256[1:] + "0"}, false},
		{"another file", vex.Product{SHA256: sha256[1:] + "0"}, false},
		{"another component of the file", vex.Product{SHA256: sha256, Parts: []vex.Product{{ID: "pkg:golang/golang.org/x/text"}}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &Attachments{VEX: []VEX{
				{Problem: "broken"},
				{Document: &vex.Document{Statements: []vex.Statement{
					{Vulnerability: "CVE-1", Status: vex.Fixed, Products: []vex.Product{tt.product}},
				}}},
			}}
			got := a.Statements(of, doc, findings)
			if len(got) != 1 || (got[0] != nil) != tt.want {
				t.Errorf("Statements() about %+v = %v; want one: %t", tt.product, got, tt.want)
			}
		})
	}
}

func TestConcerns(t *testing.T) {
	tests := []struct {
		artifactType string
		layers       []string
		want         bool
	}{
		{artifactType: "application/vnd.cyclonedx+json", want: true},
		{artifactType: "Application/SPDX+JSON", want: true},
		{artifactType: "application/vnd.openvex+json; version=0.2", want: true},
		{layers: []string{"application/wasm", "text/spdx"}, want: true},
		{artifactType: "application/vnd.dev.sigstore.bundle.v0.3+json", layers: []string{"application/json"}},
		{},
	}
	for _, tt := range tests {
		if got := Concerns(tt.artifactType, tt.layers...); got != tt.want {
			t.Errorf("Concerns(%q, %q) = %t, want %t", tt.artifactType, tt.layers, got, tt.want)
		}
	}
}

// Whatever is attached, reading it ends, within the limits, and gives each
// document or says what is wrong with it.
func FuzzRead(f *testing.F) {
	for _, text := range []string{cdxText, cdxXML, spdxText, spdxTag, vexText, cdxVEX, cdxBoth, cdxWrong} {
		for _, mediaType := range []string{"application/vnd.cyclonedx+json", "text/spdx", MediaTypeOpenVEX} {
			f.Add([]byte(`{"layers":[{"mediaType":"`+mediaType+`","digest":"DIGEST","size":SIZE}]}`), []byte(text), mediaType)
		}
	}
	f.Fuzz(func(t *testing.T, manifest, text []byte, artifactType string) {
		s := &store{}
		d := s.put(text)
		manifest = bytes.ReplaceAll(manifest, []byte("DIGEST"), []byte(d))
		s.refer(artifactType, nil, bytes.ReplaceAll(manifest, []byte("SIZE"), fmt.Append(nil, len(text))))
		limits := Limits{Documents: 3, Bytes: 1 << 16}
		a, err := Read(t.Context(), s, subject, limits)
		if err != nil {
			t.Fatalf("Read() = %v", err)
		}
		if s.fetched > 1+limits.Documents {
			t.Fatalf("fetched %d times", s.fetched)
		}
		for _, b := range a.SBOMs {
			if (b.Document == nil) == (b.Problem == "") || len(b.Title) > maxTitle || len(b.Problem) > 2*maxTitle {
				t.Fatalf("bill of materials %+v", b)
			}
		}
		for _, v := range a.VEX {
			if (v.Document == nil) == (v.Problem == "") {
				t.Fatalf("statements %+v", v)
			}
		}
		a.Statements(Subject{Repository: "app", Manifest: d}, &sbom.Document{Root: &sbom.Unit{}},
			[]scan.Finding{{Finding: vuln.Finding{ID: "CVE-2026-1"}}})
		if got := a.Declared(); (got != nil) != a.Published() {
			t.Fatalf("Declared() = %v, published %t", got, a.Published())
		}
	})
}
