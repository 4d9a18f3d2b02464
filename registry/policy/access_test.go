package policy

import (
	"slices"
	"testing"
)

func TestMay(t *testing.T) {
	closed, public, all, open := Access{}, Access{AnonymousPull: []string{"team"}}, Access{AnonymousPull: []string{"*"}}, Access{Open: true}
	staffed := Access{AnonymousPull: []string{"*"}, Admins: []string{"ada"}, Approvers: []string{"bob"}}
	ann, anonymous, ada, bob := Principal{Name: "ann"}, Principal{}, Principal{Name: "ada"}, Principal{Name: "bob"}
	wes, working := Principal{Name: "wes"}, Access{Admins: []string{"ada"}, Workers: []string{"wes", "ada"}}
	tests := []struct {
		name   string
		access Access
		p      Principal
		a      Action
		repo   string
		want   bool
	}{
		{"nobody reads a closed registry unknown", closed, anonymous, Pull, "team/x", false},
		{"whoever logged in reads it", closed, ann, Pull, "team/x", true},
		{"whoever logged in writes to it", closed, ann, Push, "team/x", true},
		{"whoever logged in deletes from it", closed, ann, Delete, "team/x", true},
		{"everybody reads what is public", public, anonymous, Pull, "team/x", true},
		{"the namespace itself is public too", public, anonymous, Pull, "team", true},
		{"a longer name is another namespace", public, anonymous, Pull, "teamwork/x", false},
		{"nobody unknown writes to what is public", public, anonymous, Push, "team/x", false},
		{"nobody unknown deletes from what is public", public, anonymous, Delete, "team/x", false},
		{"a star makes everything public", all, anonymous, Pull, "any/x", true},
		{"a star lets nobody write", all, anonymous, Push, "any/x", false},
		{"an open registry is everybody's", open, anonymous, Delete, "any/x", true},
		{"an open registry has no administrators to ask", open, anonymous, Administer, "", true},
		{"whoever logged in tags and promotes", closed, ann, Promote, "team/x", true},
		{"without administrators nobody administers", closed, ann, Administer, "", false},
		{"an administrator administers", staffed, ada, Administer, "", true},
		{"and approves", staffed, ada, Approve, "team/x", true},
		{"an approver approves", staffed, bob, Approve, "team/x", true},
		{"and does not administer", staffed, bob, Administer, "", false},
		{"others do not approve", staffed, ann, Approve, "team/x", false},
		{"nobody unknown approves", staffed, anonymous, Approve, "team/x", false},
		{"nobody unknown administers", staffed, anonymous, Administer, "", false},
		{"a worker compiles", working, wes, AOT, "", true},
		{"a worker reads", working, wes, Pull, "team/x", true},
		{"a worker pushes by no right of its own", working, wes, Push, "team/x", false},
		{"a worker deletes nothing", working, wes, Delete, "team/x", false},
		{"an administrator who is a worker too pushes", working, ada, Push, "team/x", true},
		{"an administrator compiles", staffed, ada, AOT, "", true},
		{"others do not compile", working, ann, AOT, "", false},
		{"nobody unknown compiles", working, anonymous, AOT, "", false},
		{"everybody compiles for an open registry", open, anonymous, AOT, "", true},
		{"an action that is not known is not public", public, anonymous, "brew", "team/x", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := tt.access.May(tt.p, tt.a, tt.repo)
			if d.Allowed != tt.want || d.Allowed != (d.Reason == "") {
				t.Errorf("May(%q, %s, %s) = %+v, want allowed %v and a reason if not", tt.p.Name, tt.a, tt.repo, d, tt.want)
			}
		})
	}
}

// What a listing shows is what may be read.
func TestNamespaces(t *testing.T) {
	tests := []struct {
		name       string
		access     Access
		p          Principal
		everything bool
		namespaces []string
	}{
		{"closed, unknown", Access{}, Principal{}, false, nil},
		{"closed, logged in", Access{}, Principal{Name: "ann"}, true, nil},
		{"partly public, unknown", Access{AnonymousPull: []string{"a", "b"}}, Principal{}, false, []string{"a", "b"}},
		{"all public, unknown", Access{AnonymousPull: []string{"a", "*"}}, Principal{}, true, nil},
		{"open, unknown", Access{Open: true}, Principal{}, true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			everything, namespaces := tt.access.Namespaces(tt.p)
			if everything != tt.everything || !slices.Equal(namespaces, tt.namespaces) {
				t.Errorf("Namespaces(%q) = %v, %q, want %v, %q", tt.p.Name, everything, namespaces, tt.everything, tt.namespaces)
			}
		})
	}
}
