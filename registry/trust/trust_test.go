package trust_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"github.com/wreg-project/wreg/registry/trust"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func database(t *testing.T) meta.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return db
}

func generate(t *testing.T) *key.Private {
	t.Helper()
	k, err := key.Generate(key.P256)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	write(t, path, content)
	return path
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, o trust.Options) *trust.Trust {
	t.Helper()
	tr, err := trust.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open() = %v", err)
	}
	return tr
}

func refresh(t *testing.T, tr *trust.Trust) {
	t.Helper()
	if err := tr.Refresh(t.Context()); err != nil {
		t.Fatalf("Refresh() = %v", err)
	}
}

// trusted lists entries as "origin kind name".
func trusted(tr *trust.Trust) (out []string) {
	for _, e := range tr.Current().Entries() {
		out = append(out, fmt.Sprint(e.Origin, " ", e.Kind, " ", filepath.Base(e.Name)))
	}
	return out
}

func wantTrusted(t *testing.T, tr *trust.Trust, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, trusted(tr)); d != "" {
		t.Errorf("Entries(): want -, got +\n%s", d)
	}
}

// verifies says by the key of which name a signature of k is.
func verifies(t *testing.T, tr *trust.Trust, k *key.Private) string {
	t.Helper()
	d := digest.FromString("app")
	text, err := signing.Sign(t.Context(), signing.Statement{
		Subject: []signing.Subject{signing.SubjectOf("app", d)}, PredicateType: signing.PredicateSignature,
	}, k)
	if err != nil {
		t.Fatal(err)
	}
	p, err := tr.Current().Verifier().Verify(t.Context(), d, signing.Found{Form: signing.FormBundle, Subject: d, Content: text})
	if err != nil {
		if !errors.Is(err, verify.ErrRefused) {
			t.Fatalf("Verify() = %v", err)
		}
		return "refused"
	}
	return p.Key.Name
}

// rootJSON is a trusted root with an authority of its own.
func rootJSON(t *testing.T) []byte {
	t.Helper()
	s, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	r, err := root.NewTrustedRoot(root.TrustedRootMediaType01, s.FulcioCertificateAuthorities(), s.CTLogs(), s.TimestampingAuthorities(), s.RekorLogs())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func put(name string, k *key.Private) meta.TrustEntry {
	return meta.TrustEntry{Name: name, Kind: trust.KindKey, Content: string(k.PEM()), Author: "ann", Created: start}
}

func TestAllSourcesAreTrusted(t *testing.T) {
	configured, added, own, stranger := generate(t), generate(t), generate(t), generate(t)
	tr := open(t, trust.Options{
		Meta: database(t), Keys: []string{"release=" + file(t, "r.pub", configured.PEM())}, Roots: []string{file(t, "root.json", rootJSON(t))},
		Own: func() []*key.Public { return []*key.Public{own.Public} },
	})
	before := tr.Current().Version()
	if _, created, err := tr.Put(t.Context(), put("added", added)); err != nil || !created {
		t.Fatalf("Put() = created %v, %v; want true", created, err)
	}
	wantTrusted(t, tr, "config key release", "config root root.json", "api key added", "instance key instance")
	for want, k := range map[string]*key.Private{"release": configured, "added": added, "instance": own, "refused": stranger} {
		if got := verifies(t, tr, k); got != want {
			t.Errorf("the signature of %s is by %s", want, got)
		}
	}
	if v := tr.Current().Version(); v == before || v == "" {
		t.Errorf("Version() = %q, and was %q before a key was added", v, before)
	}
}

// Servers compare versions: it is the content that counts, not where it is from.
func TestTheVersionIsThatOfTheContent(t *testing.T) {
	k := generate(t)
	first := open(t, trust.Options{Meta: database(t), Keys: []string{"release=" + file(t, "a.pub", k.PEM())}})
	second := open(t, trust.Options{Meta: database(t)})
	empty := second.Current().Version()
	if _, _, err := second.Put(t.Context(), put("release", k)); err != nil {
		t.Fatal(err)
	}
	if a, b := first.Current().Version(), second.Current().Version(); a != b {
		t.Errorf("Version() = %s and %s of the same key", a, b)
	}
	bounded := put("release", k)
	bounded.NotAfter = start
	if _, created, err := second.Put(t.Context(), bounded); err != nil || created {
		t.Fatalf("Put() again = created %v, %v; want false", created, err)
	}
	if a, b := first.Current().Version(), second.Current().Version(); a == b {
		t.Errorf("Version() = %s also of a key that is good until %s", a, start)
	}
	if err := second.Remove(t.Context(), "release", "ann", start); err != nil {
		t.Fatal(err)
	}
	if v := second.Current().Version(); v != empty {
		t.Errorf("Version() after the removal = %s, want %s", v, empty)
	}
}

func TestChangedFilesAreReadAgain(t *testing.T) {
	first, second := generate(t), generate(t)
	path := file(t, "release.pub", first.PEM())
	tr := open(t, trust.Options{Meta: database(t), Keys: []string{"release=" + path}})
	version := tr.Current().Version()
	write(t, path, second.PEM())
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	refresh(t, tr)
	if got := []string{verifies(t, tr, first), verifies(t, tr, second)}; !slices.Equal(got, []string{"refused", "release"}) {
		t.Errorf("the old and the new key are %q, want refused and release", got)
	}
	if tr.Current().Version() == version {
		t.Error("Version() is the same for another key")
	}
	version = tr.Current().Version()
	write(t, path, []byte("broken"))
	if err := tr.Refresh(t.Context()); !errors.Is(err, trust.ErrFormat) {
		t.Errorf("Refresh() of a broken file = %v, want ErrFormat", err)
	}
	if tr.Current().Version() != version || verifies(t, tr, second) != "release" {
		t.Error("a broken file has replaced what was trusted")
	}
}

func TestPublisher(t *testing.T) {
	k, own, listed := generate(t), generate(t), generate(t)
	path := file(t, "trust.yaml", []byte("version: 1\nsigners: {listed: {key: listed.pub}}\n"+
		"packages: [{match: [\"prod/**\"], rules: [{name: signed, by: [listed]}]}]\n"))
	write(t, filepath.Join(filepath.Dir(path), "listed.pub"), listed.PEM())
	proof := func(k *key.Private, name, predicateType string) *verify.Proof {
		return &verify.Proof{Key: &verify.SignedByKey{ID: k.ID(), Name: name}, PredicateType: predicateType}
	}
	installation := proof(own, trust.Instance, signing.PredicateSignature)
	anyone := &verify.Proof{Certificate: &verify.Certificate{Identity: "eve@example.com", Issuer: "https://issuer.example"}, PredicateType: signing.PredicateSignature}
	without := open(t, trust.Options{Meta: database(t), Keys: []string{"release=" + file(t, "r.pub", k.PEM())}})
	with := open(t, trust.Options{Meta: database(t), Keys: []string{"release=" + file(t, "r.pub", k.PEM())}, Policy: path})
	for _, tt := range []struct {
		name   string
		tr     *trust.Trust
		repo   string
		proofs []*verify.Proof
		want   string
	}{
		{"a key that was added", without, "prod/app", []*verify.Proof{installation, anyone, proof(k, "release", signing.PredicateSignature)}, "release"},
		{"an attestation publishes nothing", without, "prod/app", []*verify.Proof{proof(k, "release", "https://cyclonedx.org/bom")}, ""},
		{"nor does a certificate that anybody can have", without, "prod/app", []*verify.Proof{anyone}, ""},
		{"nor does the installation", without, "prod/app", []*verify.Proof{installation}, ""},
		{"a signer of the policy", with, "prod/app", []*verify.Proof{installation, proof(listed, "listed", signing.PredicateSignature)}, "listed"},
		{"a key that the policy does not list", with, "prod/app", []*verify.Proof{proof(k, "release", signing.PredicateSignature)}, ""},
		{"a package that the policy is not about", with, "lab/app", []*verify.Proof{proof(listed, "listed", signing.PredicateSignature)}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.tr.Current().Publisher(t.Context(), tt.repo, digest.FromString("app"), tt.proofs)
			if err != nil || got != tt.want {
				t.Errorf("Publisher() = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	wantTrusted(t, with, "config key listed", "config key release")
	if got := verifies(t, with, listed); got != "listed" {
		t.Errorf("a signature of the policy's key is by %s", got)
	}
	version := with.Current().Version()
	write(t, filepath.Join(filepath.Dir(path), "listed.pub"), append(own.PEM(), '\n'))
	refresh(t, with)
	if with.Current().Version() == version || verifies(t, with, listed) != "refused" {
		t.Error("a key beside the policy was replaced, and the old one is trusted")
	}
}

// Another server over the same database adds a key.
func TestEntriesOfOtherServersAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := database(t)
		here, there := open(t, trust.Options{Meta: db}), open(t, trust.Options{Meta: db})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); here.Run(ctx) }()
		if _, _, err := there.Put(t.Context(), put("added", generate(t))); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * trust.Every) // of the bubble
		synctest.Wait()
		wantTrusted(t, here, "api key added")
		stop()
		<-done
	})
}

func TestChangesLeaveEvents(t *testing.T) {
	db, k := database(t), generate(t)
	tr := open(t, trust.Options{Meta: db})
	if _, _, err := tr.Put(t.Context(), put("release", k)); err != nil {
		t.Fatal(err)
	}
	if err := tr.Remove(t.Context(), "release", "bob", start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	events, err := db.EventsAfter(t.Context(), meta.Visibility{Everything: true}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprint(e.Kind, " ", e.Actor, " ", e.Time.Sub(start), " ", string(e.Detail)))
	}
	want := []string{
		fmt.Sprintf(`trust ann 0s {"name":"release","kind":"key","id":%q}`, k.ID()),
		fmt.Sprintf(`trust bob 1h0m0s {"name":"release","kind":"key","id":%q,"removed":true}`, k.ID()),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("events: want -, got +\n%s", d)
	}
}

func TestRefusedEntries(t *testing.T) {
	db, k := database(t), generate(t)
	private, err := k.MarshalPKCS8()
	if err != nil {
		t.Fatal(err)
	}
	tr := open(t, trust.Options{Meta: db, Keys: []string{"release=" + file(t, "r.pub", k.PEM())}})
	edit := func(change func(*meta.TrustEntry)) meta.TrustEntry {
		e := put("added", k)
		change(&e)
		return e
	}
	for _, tt := range []struct {
		name  string
		entry meta.TrustEntry
		want  error
		text  string
	}{
		{"no key", edit(func(e *meta.TrustEntry) { e.Content = "key" }), trust.ErrFormat, "no PEM"},
		{"a private key", edit(func(e *meta.TrustEntry) { e.Content = string(private) }), trust.ErrFormat, "where a public key should be"},
		{"another kind", edit(func(e *meta.TrustEntry) { e.Kind = "token" }), trust.ErrFormat, "there are keys and roots"},
		{"a root that is none", edit(func(e *meta.TrustEntry) { e.Kind = trust.KindRoot }), trust.ErrFormat, "root added"},
		{"a root with times", edit(func(e *meta.TrustEntry) {
			e.Kind, e.Content, e.NotAfter = trust.KindRoot, string(rootJSON(t)), start
		}), trust.ErrFormat, "a root says itself"},
		{"a key that ends before it begins", edit(func(e *meta.TrustEntry) {
			e.NotBefore, e.NotAfter = start, start
		}), trust.ErrFormat, "which is not after"},
		{"no name", edit(func(e *meta.TrustEntry) { e.Name = "" }), trust.ErrFormat, "a name has"},
		{"a name for headers", edit(func(e *meta.TrustEntry) { e.Name = "a\nb" }), trust.ErrFormat, "a name has"},
		{"the name of the installation's keys", edit(func(e *meta.TrustEntry) { e.Name = trust.Instance }), trust.ErrFormat, "a name has"},
		{"a name that the configuration has", edit(func(e *meta.TrustEntry) { e.Name = "release" }), trust.ErrConfigured, "release"},
		{"more than is read", edit(func(e *meta.TrustEntry) {
			e.Content = strings.Repeat("x", meta.MaxTrustContent+1)
		}), trust.ErrFormat, "more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := tr.Put(t.Context(), tt.entry); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Put() = %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
	if err := tr.Remove(t.Context(), "release", "ann", start); !errors.Is(err, meta.ErrNotFound) {
		t.Errorf("Remove() of the configuration's = %v, want ErrNotFound", err)
	}
	wantTrusted(t, tr, "config key release")
}

// What the API could not have stored, an older program or the configuration of
// today makes of the database, must not keep a server from starting.
func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	db, k := database(t), generate(t)
	err := db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		for _, e := range []meta.TrustEntry{
			put("release", k), put("good", k), {Name: "future", Kind: "token", Created: start}, {Name: "broken", Kind: trust.KindKey, Created: start},
		} {
			if err := tx.PutTrust(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	tr := open(t, trust.Options{
		Meta: db, Keys: []string{"release=" + file(t, "r.pub", k.PEM())}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	wantTrusted(t, tr, "config key release", "api key good")
	for _, name := range []string{"future", "broken", "release"} {
		if !strings.Contains(log.String(), "name="+name) {
			t.Errorf("the log says nothing of %s:\n%s", name, log.String())
		}
	}
	if err := tr.Remove(t.Context(), "broken", "ann", start); err != nil {
		t.Errorf("Remove() of a broken one = %v", err)
	}
}

func TestABadConfigurationIsAnError(t *testing.T) {
	k := generate(t)
	good := file(t, "k.pub", k.PEM())
	for _, tt := range []struct {
		name string
		o    trust.Options
		text string
	}{
		{"a key that is not there", trust.Options{Keys: []string{"a=none.pub"}}, "none.pub"},
		{"a key without a name", trust.Options{Keys: []string{"k.pub"}}, "want NAME=PATH"},
		{"a name twice", trust.Options{Keys: []string{"a=" + good, "a=" + good}}, "the name is taken"},
		{"the name of the installation's keys", trust.Options{Keys: []string{"instance=" + good}}, "the name is taken"},
		{"a root that is a key", trust.Options{Roots: []string{good}}, "root"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Meta = database(t)
			if _, err := trust.Open(t.Context(), tt.o); err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Open() = %v, want an error with %q", err, tt.text)
			}
		})
	}
}

func TestKeysAreBounded(t *testing.T) {
	db := database(t)
	tr := open(t, trust.Options{Meta: db})
	k := generate(t)
	err := db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		for i := range verify.MaxKeys - 32 {
			if err := tx.PutTrust(ctx, put(fmt.Sprint("k", i), k)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tr.Put(t.Context(), put("more", k)); !errors.Is(err, meta.ErrConflict) {
		t.Errorf("Put() of one more = %v, want ErrConflict", err)
	}
	if _, _, err := tr.Put(t.Context(), put("k7", k)); err != nil {
		t.Errorf("Put() of one again = %v", err)
	}
}
