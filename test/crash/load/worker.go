package load

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Worker is one client that pushes and deletes at random. It has one owner.
// What it made itself it keeps track of, so that it knows what the registry has
// to answer; beside that it fights with all other workers over a few shared
// tags and blobs.
type Worker struct {
	Client *Client
	Name   string // told apart from other workers' in tags: letters and digits
	Repo   string
	Other  string // repository for mounts
	Rand   *rand.Rand

	// Large is the size in bytes that one blob of ten has; the others have at
	// most 4 KiB.
	Large int

	// PushOnly leaves out deletions, and all that several workers fight over:
	// such a worker can be run again, and pushes the same again.
	PushOnly bool

	blobs     []*content
	manifests []*manifest
	tags      map[string]digest.Digest // own tags that are there
	graves    map[string]digest.Digest // own versions that were deleted
	versions  int
	steps     int
}

type content struct {
	digest digest.Digest
	size   int64
	pins   int // manifests of Repo that need it
}

type manifest struct {
	digest    digest.Digest
	mediaType string
	body      []byte
	blobs     []*content
	kept      bool // others rely on it: never deleted
}

// Run does steps until ctx ends or the registry is gone.
func (w *Worker) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.Step(ctx); errors.Is(err, errGone) {
			return
		}
	}
}

// Step does one thing. Its errors are known to the Client already; one that is
// errGone leaves nothing to do.
func (w *Worker) Step(ctx context.Context) error {
	if w.tags == nil {
		w.tags, w.graves = map[string]digest.Digest{}, map[string]digest.Digest{}
	}
	w.steps++
	if w.steps <= 2 || len(w.manifests) == 0 { // something to work with
		return w.pushImage(ctx)
	}
	return w.random(ctx)
}

func (w *Worker) random(ctx context.Context) error {
	type step struct {
		weight int
		do     func(context.Context) error
	}
	steps := []step{
		{5, func(ctx context.Context) error { _, err := w.pushBlob(ctx); return err }},
		{6, w.pushImage},
		{2, w.moveTag},
		{1, w.abandonUpload},
		{2, w.mount},
		{2, w.pushIndex},
		{2, w.pushReferrer},
		{1, w.pushOverVersion},
	}
	if !w.PushOnly {
		steps = append(
			steps,
			step{2, w.pushShared},
			step{2, w.fightOverBlob},
			step{1, w.fightOverTag},
			step{2, w.deleteTag},
			step{1, w.pushOverGrave},
			step{2, w.deleteManifest},
			step{2, w.deleteBlob},
		)
	}
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	n := w.Rand.IntN(total)
	for _, s := range steps {
		if n -= s.weight; n < 0 {
			return s.do(ctx)
		}
	}
	return nil
}

func (w *Worker) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.Rand.Uint32())
	}
	return b
}

func (w *Worker) size() int {
	if w.Large > 0 && w.Rand.IntN(10) == 0 {
		return w.Large
	}
	return 64 + w.Rand.IntN(4032) // long enough that no two workers make the same
}

// module is a WebAssembly module of about n bytes that no other is equal to: the
// smallest one, with a custom section of noise.
func (w *Worker) module(n int) []byte {
	section := append([]byte{5, 'n', 'o', 'i', 's', 'e'}, w.bytes(n)...)
	b := append([]byte("\x00asm\x01\x00\x00\x00"), 0) // the id of custom sections
	b = binary.AppendUvarint(b, uint64(len(section)))
	return append(b, section...)
}

// pushBlob pushes a new module in one of the ways that the specification has.
func (w *Worker) pushBlob(ctx context.Context) (*content, error) {
	b := w.module(w.size())
	c := &content{digest: digest.FromBytes(b), size: int64(len(b))}
	if w.Rand.IntN(10) == 0 {
		c.digest = digest.SHA512.FromBytes(b)
	}
	if err := w.put(ctx, c.digest, b); err != nil {
		return nil, err
	}
	w.blobs = append(w.blobs, c)
	return c, nil
}

func (w *Worker) put(ctx context.Context, d digest.Digest, b []byte) error {
	effect := []Effect{{Key{Blob, w.Repo, string(d)}, string(d)}}
	if w.Rand.IntN(4) == 0 {
		_, err := w.Client.do(ctx, request{
			method: http.MethodPost, path: "/v2/" + w.Repo + "/blobs/uploads/?digest=" + string(d), body: b, effects: effect,
			want: []int{http.StatusCreated},
		})
		return err
	}
	at, err := w.startUpload(ctx, d.Algorithm())
	if err != nil {
		return err
	}
	if w.Rand.IntN(3) == 0 {
		if at, b, err = w.sendChunks(ctx, at, b); err != nil {
			return err
		}
	}
	_, err = w.Client.do(ctx, request{
		method: http.MethodPut, path: at + "?digest=" + string(d), body: b, effects: effect, want: []int{http.StatusCreated},
	})
	return err
}

func (w *Worker) startUpload(ctx context.Context, alg digest.Algorithm) (string, error) {
	r := request{method: http.MethodPost, path: "/v2/" + w.Repo + "/blobs/uploads/", want: []int{http.StatusAccepted}}
	if alg != digest.Canonical {
		r.path += "?digest-algorithm=" + string(alg)
	}
	got, err := w.Client.do(ctx, r)
	return got.header.Get("Location"), err
}

// sendChunks sends b in pieces and leaves the last of them, perhaps empty, to
// the PUT.
func (w *Worker) sendChunks(ctx context.Context, at string, b []byte) (string, []byte, error) {
	sent := 0
	for range 1 + w.Rand.IntN(3) {
		n := w.Rand.IntN(len(b) - sent + 1)
		if n == 0 {
			continue
		}
		got, err := w.Client.do(ctx, request{
			method: http.MethodPatch, path: at, body: b[sent : sent+n], want: []int{http.StatusAccepted},
			header: http.Header{"Content-Range": {fmt.Sprintf("%d-%d", sent, sent+n-1)}, "Content-Type": {"application/octet-stream"}},
		})
		if err != nil {
			return "", nil, err
		}
		at, sent = got.header.Get("Location"), sent+n
	}
	return at, b[sent:], nil
}

// abandonUpload begins an upload and leaves it, or cancels it.
func (w *Worker) abandonUpload(ctx context.Context) error {
	at, err := w.startUpload(ctx, digest.Canonical)
	if err != nil {
		return err
	}
	got, err := w.Client.do(ctx, request{method: http.MethodPatch, path: at, body: w.bytes(w.size()), want: []int{http.StatusAccepted}})
	if err != nil || w.Rand.IntN(2) == 0 {
		return err
	}
	_, err = w.Client.do(ctx, request{method: http.MethodDelete, path: got.header.Get("Location"), want: []int{http.StatusNoContent}})
	return err
}

func (w *Worker) mount(ctx context.Context) error {
	if len(w.blobs) == 0 {
		return nil
	}
	d := string(w.blobs[w.Rand.IntN(len(w.blobs))].digest)
	_, err := w.Client.do(ctx, request{
		method: http.MethodPost, path: "/v2/" + w.Other + "/blobs/uploads/?mount=" + d + "&from=" + w.Repo,
		effects: []Effect{{Key{Blob, w.Other, d}, d}}, want: []int{http.StatusCreated},
	})
	return err
}

// pushImage pushes an image of new and old blobs under a new version, a tag that
// moves, or no tag.
func (w *Worker) pushImage(ctx context.Context) error {
	m, err := w.newImage(ctx, nil)
	if err != nil {
		return err
	}
	var tags []string
	switch w.Rand.IntN(4) {
	case 0:
	case 1:
		tags = []string{w.stable()}
	default:
		w.versions++
		tags = []string{fmt.Sprintf("1.%d.0-%s", w.versions, w.Name)}
	}
	return w.push(ctx, m, tags)
}

func (w *Worker) stable() string { return fmt.Sprintf("stable%d-%s", w.Rand.IntN(2), w.Name) }

// newImage pushes the blobs of an image and makes its manifest.
func (w *Worker) newImage(ctx context.Context, subject *v1.Descriptor) (*manifest, error) {
	image := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Subject: subject}
	if subject != nil {
		image.ArtifactType = "application/vnd.example.signature"
	}
	m := &manifest{mediaType: v1.MediaTypeImageManifest}
	for i := range 2 + w.Rand.IntN(2) {
		var c *content
		if i > 0 && len(w.blobs) > 0 && w.Rand.IntN(2) == 0 {
			c = w.blobs[w.Rand.IntN(len(w.blobs))]
		} else {
			var err error
			if c, err = w.pushBlob(ctx); err != nil {
				return nil, err
			}
		}
		m.blobs = append(m.blobs, c)
		desc := v1.Descriptor{MediaType: "application/octet-stream", Digest: c.digest, Size: c.size}
		if i == 0 {
			desc.MediaType = v1.MediaTypeImageConfig
			image.Config = desc
		} else {
			image.Layers = append(image.Layers, desc)
		}
	}
	var err error
	m.body, err = json.Marshal(image)
	m.digest = digest.FromBytes(m.body)
	return m, err
}

// push pushes a manifest under tags, by its digest without.
func (w *Worker) push(ctx context.Context, m *manifest, tags []string) error {
	r := w.putManifest(m, tags)
	got, err := w.Client.do(ctx, r)
	if err != nil {
		w.doubt(m, tags)
		return err
	}
	if d := got.header.Get("Docker-Content-Digest"); d != string(m.digest) {
		w.Client.problem("PUT %s: Docker-Content-Digest is %q, want %s", r.path, d, m.digest)
	}
	for _, t := range tags {
		w.tags[t] = m.digest
	}
	if !slices.ContainsFunc(w.manifests, func(o *manifest) bool { return o.digest == m.digest }) {
		w.manifests = append(w.manifests, m)
		for _, c := range m.blobs {
			c.pins++
		}
	}
	return nil
}

func (w *Worker) putManifest(m *manifest, tags []string) request {
	d := string(m.digest)
	r := request{
		method: http.MethodPut, path: "/v2/" + w.Repo + "/manifests/" + d, body: m.body, want: []int{http.StatusCreated},
		header:  http.Header{"Content-Type": {m.mediaType}},
		effects: []Effect{{Key{Manifest, w.Repo, d}, d}},
	}
	if len(tags) > 0 {
		r.path = "/v2/" + w.Repo + "/manifests/" + tags[0]
	}
	for _, t := range tags {
		r.effects = append(r.effects, Effect{Key{Tag, w.Repo, t}, d})
	}
	return r
}

// doubt leaves alone what may be one thing or another since a push of m failed:
// the tags, what they point to, and the blobs that may be pinned.
func (w *Worker) doubt(m *manifest, tags []string) {
	for _, t := range tags {
		w.keep(w.tags[t])
		delete(w.tags, t)
		delete(w.graves, t)
	}
	w.keep(m.digest)
	w.forget(m.blobs)
}

// keep sees to it that a manifest is not deleted.
func (w *Worker) keep(d digest.Digest) {
	for _, m := range w.manifests {
		m.kept = m.kept || m.digest == d
	}
}

// forget uses blobs no more.
func (w *Worker) forget(blobs []*content) {
	w.blobs = slices.DeleteFunc(w.blobs, func(c *content) bool { return slices.Contains(blobs, c) })
}

func (w *Worker) pick() *manifest { return w.manifests[w.Rand.IntN(len(w.manifests))] }

// moveTag points one of the worker's moving tags at another of its manifests.
func (w *Worker) moveTag(ctx context.Context) error {
	return w.push(ctx, w.pick(), []string{w.stable()})
}

// pushShared moves a tag that all workers move.
func (w *Worker) pushShared(ctx context.Context) error {
	m := w.pick()
	m.kept = true
	_, err := w.Client.do(ctx, w.putManifest(m, []string{[]string{"latest", "edge"}[w.Rand.IntN(2)]}))
	return err
}

// fightOverBlob pushes or deletes one of a few blobs that all workers know.
func (w *Worker) fightOverBlob(ctx context.Context) error {
	b := fmt.Appendf(nil, "content number %d, pushed by many", w.Rand.IntN(4))
	d := digest.FromBytes(b)
	if w.Rand.IntN(3) > 0 {
		return w.put(ctx, d, b)
	}
	_, err := w.Client.do(ctx, request{
		method: http.MethodDelete, path: "/v2/" + w.Repo + "/blobs/" + string(d), effects: []Effect{{Key{Blob, w.Repo, string(d)}, Absent}},
		want: []int{http.StatusAccepted, http.StatusNotFound},
	})
	return err
}

// fightOverTag moves or deletes a tag that all workers know.
func (w *Worker) fightOverTag(ctx context.Context) error {
	if w.Rand.IntN(2) == 0 {
		m := w.pick()
		m.kept = true
		_, err := w.Client.do(ctx, w.putManifest(m, []string{"contested"}))
		return err
	}
	_, err := w.Client.do(ctx, request{
		method: http.MethodDelete, path: "/v2/" + w.Repo + "/manifests/contested", effects: []Effect{{Key{Tag, w.Repo, "contested"}, Absent}},
		want: []int{http.StatusAccepted, http.StatusNotFound},
	})
	return err
}

// pushIndex pushes an index over some of the worker's manifests.
func (w *Worker) pushIndex(ctx context.Context) error {
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	for range 1 + w.Rand.IntN(3) {
		m := w.pick()
		m.kept = true
		index.Manifests = append(index.Manifests, v1.Descriptor{MediaType: m.mediaType, Digest: m.digest, Size: int64(len(m.body))})
	}
	b, err := json.Marshal(index)
	if err != nil {
		return err
	}
	w.versions++
	m := &manifest{digest: digest.FromBytes(b), mediaType: v1.MediaTypeImageIndex, body: b}
	return w.push(ctx, m, []string{fmt.Sprintf("2.%d.0-%s", w.versions, w.Name)})
}

// pushReferrer pushes a manifest with a subject, that may be absent.
func (w *Worker) pushReferrer(ctx context.Context) error {
	subject := w.pick()
	desc := &v1.Descriptor{MediaType: subject.mediaType, Digest: subject.digest, Size: int64(len(subject.body))}
	if w.Rand.IntN(5) == 0 {
		desc.Digest = digest.FromString(w.Name + "never pushed")
	}
	m, err := w.newImage(ctx, desc)
	if err != nil {
		return err
	}
	got, err := w.Client.do(ctx, w.putManifest(m, nil))
	if err != nil {
		w.doubt(m, nil)
		return err
	}
	if s := got.header.Get("OCI-Subject"); s != string(desc.Digest) {
		w.Client.problem("PUT %s@%s: OCI-Subject is %q, want %s", w.Repo, m.digest, s, desc.Digest)
	}
	w.manifests = append(w.manifests, m)
	for _, c := range m.blobs {
		c.pins++
	}
	return nil
}

// version picks one of the worker's tags that never move, in a settled order.
func (w *Worker) version(from map[string]digest.Digest) (string, digest.Digest) {
	var names []string
	for t := range from {
		if t[0] == '1' || t[0] == '2' {
			names = append(names, t)
		}
	}
	if len(names) == 0 {
		return "", ""
	}
	slices.Sort(names)
	t := names[w.Rand.IntN(len(names))]
	return t, from[t]
}

// pushOverVersion tries to move a version, which has to be refused.
func (w *Worker) pushOverVersion(ctx context.Context) error { return w.pushOver(ctx, w.tags) }

// pushOverGrave tries to bring a deleted version back as something else.
func (w *Worker) pushOverGrave(ctx context.Context) error { return w.pushOver(ctx, w.graves) }

func (w *Worker) pushOver(ctx context.Context, versions map[string]digest.Digest) error {
	t, d := w.version(versions)
	m := w.pick()
	if t == "" || m.digest == d {
		return nil
	}
	r := w.putManifest(m, []string{t})
	r.want = []int{http.StatusForbidden}
	_, err := w.Client.do(ctx, r)
	return err
}

func (w *Worker) deleteTag(ctx context.Context) error {
	t, d := w.version(w.tags)
	if t == "" {
		return nil
	}
	delete(w.tags, t)
	_, err := w.Client.do(ctx, request{
		method: http.MethodDelete, path: "/v2/" + w.Repo + "/manifests/" + t, want: []int{http.StatusAccepted},
		effects: []Effect{{Key{Tag, w.Repo, t}, Absent}},
	})
	if err != nil {
		w.keep(d)
		return err
	}
	w.graves[t] = d
	return nil
}

// deleteManifest deletes a manifest, and with it the tags that point to it.
func (w *Worker) deleteManifest(ctx context.Context) error {
	i := slices.IndexFunc(w.manifests, func(m *manifest) bool { return !m.kept })
	if i < 0 || len(w.manifests) < 2 {
		return nil
	}
	m := w.manifests[i]
	w.manifests = slices.Delete(w.manifests, i, i+1)
	effects := []Effect{{Key{Manifest, w.Repo, string(m.digest)}, Absent}}
	for _, t := range w.tagsOf(m.digest) {
		delete(w.tags, t)
		effects = append(effects, Effect{Key{Tag, w.Repo, t}, Absent})
	}
	_, err := w.Client.do(ctx, request{
		method: http.MethodDelete, path: "/v2/" + w.Repo + "/manifests/" + string(m.digest), effects: effects, want: []int{http.StatusAccepted},
	})
	if err != nil {
		w.forget(m.blobs)
		return err
	}
	for _, c := range m.blobs {
		c.pins--
	}
	return nil
}

func (w *Worker) tagsOf(d digest.Digest) []string {
	var all []string
	for t, to := range w.tags {
		if to == d {
			all = append(all, t)
		}
	}
	slices.Sort(all)
	return all
}

// deleteBlob deletes a blob that no manifest needs, or tries to delete one that
// is needed, which has to be refused.
func (w *Worker) deleteBlob(ctx context.Context) error {
	if len(w.blobs) == 0 {
		return nil
	}
	i := w.Rand.IntN(len(w.blobs))
	if free := slices.IndexFunc(w.blobs, func(c *content) bool { return c.pins == 0 }); free >= 0 {
		i = free
	}
	c := w.blobs[i]
	r := request{
		method: http.MethodDelete, path: "/v2/" + w.Repo + "/blobs/" + string(c.digest), want: []int{http.StatusAccepted},
		effects: []Effect{{Key{Blob, w.Repo, string(c.digest)}, Absent}},
	}
	if c.pins > 0 {
		r.want = []int{http.StatusMethodNotAllowed}
	} else {
		w.blobs = slices.Delete(w.blobs, i, i+1)
	}
	_, err := w.Client.do(ctx, r)
	return err
}
