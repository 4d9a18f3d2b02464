package verify

import (
	"errors"
	"maps"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// material is root.TrustedMaterial as it was when a Verifier was made.
type material struct {
	fulcio  []root.CertificateAuthority
	stamper []root.TimestampingAuthority
	logs    map[string]*root.TransparencyLog // by hexadecimal ID
	ct      map[string]*root.TransparencyLog
	key     root.TimeConstrainedVerifier // nil if certificates are verified
}

func (m *material) FulcioCertificateAuthorities() []root.CertificateAuthority { return m.fulcio }
func (m *material) TimestampingAuthorities() []root.TimestampingAuthority     { return m.stamper }
func (m *material) RekorLogs() map[string]*root.TransparencyLog               { return m.logs }
func (m *material) CTLogs() map[string]*root.TransparencyLog                  { return m.ct }

func (m *material) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	if m.key == nil {
		return nil, errors.New("a certificate was expected")
	}
	return m.key, nil
}

// read takes a root apart: into what all of its members share, and what each of
// those with authorities for certificates has for itself.
func read(r root.TrustedMaterial) (shared material, roots []material) {
	members := flatten(nil, r)
	shared.logs = map[string]*root.TransparencyLog{}
	for _, m := range members {
		shared.stamper = append(shared.stamper, m.TimestampingAuthorities()...)
		maps.Copy(shared.logs, m.RekorLogs())
	}
	for _, m := range members {
		if list := m.FulcioCertificateAuthorities(); len(list) > 0 {
			roots = append(roots, material{fulcio: list, ct: m.CTLogs(), stamper: shared.stamper, logs: shared.logs})
		}
	}
	return shared, roots
}

func flatten(to []root.TrustedMaterial, r root.TrustedMaterial) []root.TrustedMaterial {
	switch r := r.(type) {
	case nil:
	case root.TrustedMaterialCollection:
		for _, m := range r {
			to = flatten(to, m)
		}
	default:
		to = append(to, r)
	}
	return to
}
