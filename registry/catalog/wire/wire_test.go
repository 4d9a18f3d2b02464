package wire

import (
	"errors"
	"testing"

	"github.com/wreg-project/wreg/artifact/ref"
)

func TestRepository(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string
		err  error
	}{
		{name: "a namespace and a name", in: "team:app", want: "team/app"},
		{name: "a name alone", in: "app", want: "app"},
		{name: "a deep one", in: "a:b:c", want: "a/b/c"},
		{name: "a slash belongs to repositories", in: "team/app", err: ref.ErrName},
		{name: "an empty part", in: "team::app", err: ref.ErrName},
		{name: "nothing", in: "", err: ref.ErrName},
		{name: "capitals", in: "Team:app", err: ref.ErrName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Repository(tt.in)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Fatalf("Repository(%q) = %q, %v; want %q, %v", tt.in, got, err, tt.want, tt.err)
			}
			if err == nil && PackageName(got) != tt.in {
				t.Errorf("PackageName(%q) = %q, want %q", got, PackageName(got), tt.in)
			}
		})
	}
}

func TestProblemError(t *testing.T) {
	p := &Problem{Title: "Not found", Detail: "no package team:app", Hint: "see /packages"}
	if got, want := p.Error(), "Not found: no package team:app (see /packages)"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
