package signing_test

import (
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/wreg-project/wreg/signing"
)

func TestClaimedType(t *testing.T) {
	statement := base64.StdEncoding.EncodeToString([]byte(`{"predicateType":"https://cyclonedx.org/bom"}`))
	envelope := fmt.Sprintf(`{"payload":%q}`, statement)
	bundle := fmt.Sprintf(`{"dsseEnvelope":%s}`, envelope)
	tests := []struct {
		name string
		in   signing.Found
		want string
	}{
		{"a bundle", signing.Found{Form: signing.FormBundle, Content: []byte(bundle)}, "https://cyclonedx.org/bom"},
		{
			"an envelope of cosign",
			signing.Found{Form: signing.FormCosign, Type: signing.MediaTypeDSSE, Content: []byte(envelope)},
			"https://cyclonedx.org/bom",
		},
		{"a signature of cosign", signing.Found{Form: signing.FormCosign, Type: signing.MediaTypeSimpleSigning, Content: []byte(envelope)}, ""},
		{"one of Notation", signing.Found{Form: signing.FormNotation, Content: []byte(envelope)}, ""},
		{"a bundle without an envelope", signing.Found{Form: signing.FormBundle, Content: []byte(envelope)}, ""},
		{"no bundle", signing.Found{Form: signing.FormBundle, Content: []byte("{")}, ""},
		{"a payload that is no statement", signing.Found{Form: signing.FormBundle, Content: []byte(`{"dsseEnvelope":{"payload":"e30x"}}`)}, ""},
		{"what could not be read", signing.Found{Form: signing.FormBundle, Problem: "it is gone"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.ClaimedType(); got != tt.want {
				t.Errorf("ClaimedType() = %q, want %q", got, tt.want)
			}
		})
	}
}

// What an envelope claims is no longer than the envelope, whatever is in it.
func FuzzClaimedType(f *testing.F) {
	f.Add([]byte(`{"dsseEnvelope":{"payload":"eyJwcmVkaWNhdGVUeXBlIjoiYSJ9"}}`))
	f.Add([]byte(`{"payload":"eyJwcmVkaWNhdGVUeXBlIjoiYSJ9"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, found := range []signing.Found{
			{Form: signing.FormBundle, Content: in}, {Form: signing.FormCosign, Type: signing.MediaTypeDSSE, Content: in},
		} {
			if got := found.ClaimedType(); len(got) > 3*len(in) {
				t.Fatalf("ClaimedType() of %d bytes has %d", len(in), len(got))
			}
		}
	})
}
