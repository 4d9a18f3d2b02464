package attest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func promoted() *Promotion {
	return &Promotion{
		From: Place{Registry: "registry.example.com", Repository: "staging/app", Tag: "1.0.0"},
		To:   Place{Registry: "registry.example.com", Repository: "prod/app", Tag: "1.0.0"}, Digest: subject.Digest,
		ApprovedOn: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Approver: strings.Repeat("ab", 32),
		Policy: &PromotionPolicy{Version: strings.Repeat("cd", 32), Result: Passed, Reason: "every rule is satisfied (1)"},
	}
}

func TestPromotion(t *testing.T) {
	st, err := promoted().Statement(subject)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(st.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	view, err := Read(st.PredicateType, text)
	if err != nil {
		t.Fatal(err)
	}
	want := promoted()
	want.SchemaVersion = PromotionVersion
	if d := cmp.Diff(want, view.Promotion); d != "" {
		t.Errorf("Read differs from what was written (-want +got):\n%s", d)
	}
}

func TestIncompletePromotions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(p *Promotion)
		want   string
	}{
		{"from nowhere", func(p *Promotion) { p.From = Place{} }, "from lacks"},
		{"to no repository", func(p *Promotion) { p.To.Repository = "" }, "to lacks"},
		{"of nothing", func(p *Promotion) { p.Digest = nil }, "digest is missing"},
		{"of a digest that is none", func(p *Promotion) { p.Digest = map[string]string{"sha256": "ab"} }, "digest: "},
		{"at no time", func(p *Promotion) { p.ApprovedOn = time.Time{} }, "approvedOn is missing"},
		{"with a result that is none", func(p *Promotion) { p.Policy.Result = "perhaps" }, "neither PASSED nor FAILED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := promoted()
			tt.change(p)
			if _, err := p.Statement(subject); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Statement = %v; want ErrFormat with %q", err, tt.want)
			}
		})
	}
}
