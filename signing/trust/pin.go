package trust

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/verify"
)

// Pins remember who signed a package when it was first used.
type Pins interface {
	// First gives the signers that are pinned for a package. If there are none, it
	// pins now and gives these, in one step.
	First(ctx context.Context, name string, now []Principal) ([]Principal, error)
}

// pinned holds the signers of a package that satisfies its rules, r, against those
// of its first use.
func (p *Policy) pinned(ctx context.Context, q *Question, r Result) (Result, error) {
	refuse := func(format string, args ...any) (Result, error) {
		r.Allowed, r.Reason = false, fmt.Sprintf(format, args...)
		return r, nil
	}
	now := signersToPin(q, r)
	switch {
	case len(now) == 0 && len(q.Refused) > 0:
		return refuse("no signature can be verified (%d refused), so that there is no signer to hold it to", len(q.Refused))
	case len(now) == 0:
		return refuse("nothing is signed, so that there is no signer to hold it to")
	case q.Pins == nil:
		return refuse("its first signer has to be remembered, and there is no place for that here")
	}
	first, err := q.Pins.First(ctx, q.name(), now)
	if err != nil {
		r.Allowed, r.Reason = false, err.Error()
		return r, fmt.Errorf("pins: %w", err)
	}
	r.Pinned = first
	if !slices.ContainsFunc(now, func(one Principal) bool { return slices.Contains(first, one) }) {
		return refuse("it was signed by %s when it was first used, and is signed by %s now", principals(first), principals(now))
	}
	r.Reason += fmt.Sprintf(", and it is signed by %s as before", principals(first))
	return r, nil
}

// signersToPin are those whose signatures count for rules; of an entry without
// rules, all who signed. Attestations count if the rules want nothing else.
func signersToPin(q *Question, r Result) []Principal {
	var signed, attested []Principal
	add := func(predicateType string, one Principal) {
		list := &attested
		if predicateType == signing.PredicateSignature {
			list = &signed
		}
		if one = one.lasting(); !slices.Contains(*list, one) {
			*list = append(*list, one)
		}
	}
	for _, rule := range r.Rules {
		for _, c := range rule.By {
			add(c.PredicateType, c.Principal)
		}
	}
	if len(r.Rules) == 0 {
		for _, p := range q.Proofs {
			if p.PredicateType == signing.PredicateSignature {
				add(p.PredicateType, PrincipalOf(p))
			}
		}
	}
	if len(signed) > 0 {
		return signed
	}
	return attested
}

// lasting is the principal without what changes from release to release: workflows
// are named with the tag they ran for, behind an "@". Subjects of certificates of
// Notation's signatures have no such thing.
func (p Principal) lasting() Principal {
	if strings.HasPrefix(p.Issuer, verify.IssuerX509) {
		return p
	}
	if i := strings.LastIndex(p.Identity, "@"); i > 0 && strings.Contains(p.Identity[:i], "://") {
		p.Identity = p.Identity[:i]
	}
	return p
}

func principals(list []Principal) string {
	var names []string
	for _, p := range list {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// A PinFolder is Pins in a folder, a file for each package. Many processes may use
// it at a time: the first of them pins.
type PinFolder struct{ Dir string }

// A Pin is what a PinFolder remembers.
type Pin struct {
	Name    string      `json:"name"`
	Signers []Principal `json:"signers"`
}

// maxPin bounds the file of a pin, in bytes.
const maxPin = 256 << 10

// ErrNotPinned is of a package that is not pinned.
var ErrNotPinned = errors.New("no signer is pinned")

func (f PinFolder) file(name string) string {
	return filepath.Join(f.Dir, fmt.Sprintf("%x.json", sha256.Sum256([]byte(name))))
}

// First implements Pins. The pin is durable when it returns.
func (f PinFolder) First(ctx context.Context, name string, now []Principal) ([]Principal, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	pin, err := f.Get(name)
	if !errors.Is(err, ErrNotPinned) {
		return pin.Signers, err
	}
	if err := f.put(Pin{Name: name, Signers: now}); err != nil {
		return nil, err
	}
	pin, err = f.Get(name) // perhaps somebody else's
	return pin.Signers, err
}

// put writes a pin unless there is one: a link never replaces, so that of two who
// write at a time one loses.
func (f PinFolder) put(p Pin) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("pin %s: %w", p.Name, err)
	}
	if err := durable.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	var unique [8]byte
	if _, err := rand.Read(unique[:]); err != nil {
		return err
	}
	temporary := f.file(p.Name) + fmt.Sprintf(".%x", unique)
	if err := durable.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return err
	}
	err = os.Link(temporary, f.file(p.Name))
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(temporary), durable.SyncDir(f.Dir))
}

// Get reads the pin of a package. The error of one that has none is ErrNotPinned.
func (f PinFolder) Get(name string) (Pin, error) {
	p, err := readPin(f.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("%s: %w", name, ErrNotPinned)
	}
	if err == nil && p.Name != name {
		err = fmt.Errorf("pin %s: it is of %.80q", f.file(name), p.Name)
	}
	return p, err
}

func readPin(file string) (Pin, error) {
	text, err := read(file, maxPin)
	if err != nil {
		return Pin{}, err
	}
	var p Pin
	if err := json.Unmarshal(text, &p); err != nil {
		return Pin{}, fmt.Errorf("pin %s: %w", file, err)
	}
	if len(p.Signers) == 0 {
		return Pin{}, fmt.Errorf("pin %s: it names no signer", file)
	}
	return p, nil
}

// All are the pins, by the names of their packages.
func (f PinFolder) All() ([]Pin, error) {
	files, err := filepath.Glob(filepath.Join(f.Dir, "*.json"))
	if err != nil {
		return nil, err
	}
	list := []Pin{}
	for _, file := range files {
		p, err := readPin(file)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Pin) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Forget removes the pin of a package. The error of one that has none is
// ErrNotPinned.
func (f PinFolder) Forget(name string) error {
	if _, err := os.Stat(f.file(name)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", name, ErrNotPinned)
	}
	return durable.Remove(f.file(name))
}

// Peek gives the same answers and pins nothing: for a look at what would happen.
func (f PinFolder) Peek() Pins { return peek{f} }

type peek struct{ pins PinFolder }

func (p peek) First(_ context.Context, name string, now []Principal) ([]Principal, error) {
	pin, err := p.pins.Get(name)
	if errors.Is(err, ErrNotPinned) {
		return now, nil
	}
	return pin.Signers, err
}
