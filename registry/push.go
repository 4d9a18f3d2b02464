package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// maxReported bounds the missing blobs and manifests that one answer lists.
const maxReported = 100

// A ManifestPush is a manifest with what it shall be called.
type ManifestPush struct {
	Repo string
	// Digest is what the client says the content is; "" if it named a tag. Then
	// the digest is SHA-256.
	Digest      digest.Digest
	Tags        []string // all of them or none are written
	ContentType string   // as the client sent it
	Content     []byte
	Condition   Condition
	Caller      policy.Principal
}

// A Condition makes a write depend on what is there before, so that two writers
// of a tag cannot overrule each other unseen. It is read inside the
// transaction. The zero value asks for nothing.
type Condition struct {
	Match     []digest.Digest // the digest has to be one of these; nil asks for nothing
	Exists    bool            // something has to be there
	NoneMatch []digest.Digest // the digest must be none of these
	Absent    bool            // nothing may be there
}

// Pushed is a manifest that is stored.
type Pushed struct {
	Digest  digest.Digest
	Subject digest.Digest // "" if the manifest has none
	Created bool          // the repository did not hold it before
}

// PushManifest stores a manifest and points its tags to it, in one
// transaction. It is durable when PushManifest returns.
//
// The blobs and children it names have to be in the same repository, unless the
// registry is Sparse. Then they are pinned: no collection takes them while the
// manifest lives. The Admitter, if there is one, is asked before.
func (r *Registry) PushManifest(ctx context.Context, p ManifestPush) (Pushed, error) {
	if size := int64(len(p.Content)); size > r.opts.MaxManifest {
		return Pushed{}, TooLarge(ManifestInvalid, "manifest", r.opts.MaxManifest)
	}
	d, err := manifestDigest(p)
	if err != nil {
		return Pushed{}, err
	}
	refs, err := parseManifest(p.ContentType, p.Content)
	if err != nil {
		return Pushed{}, err
	}
	for range maxAdmissions {
		var admitted Admitted
		var absent []digest.Digest
		if admitted, absent, err = r.judge(ctx, p, d, refs); err != nil {
			break
		}
		var pushed Pushed
		if pushed, err = r.storeManifest(ctx, p, d, refs, admitted, absent); err == nil {
			return pushed, nil
		}
		if !errors.Is(err, ErrOutdated) {
			break
		}
	}
	return Pushed{}, refused(err, "push manifest %s to %s", d, p.Repo)
}

// storeManifest is the transaction of a push that was admitted while the blobs
// of absent were not there.
func (r *Registry) storeManifest(
	ctx context.Context, p ManifestPush, d digest.Digest, refs references, admitted Admitted, absent []digest.Digest,
) (Pushed, error) {
	now := r.now().UTC()
	m := meta.NewManifest{
		Manifest: meta.Manifest{
			Repo: p.Repo, Digest: d, MediaType: refs.mediaType, Content: p.Content, Created: now,
		},
		ArtifactType: refs.artifactType,
		Annotations:  refs.annotations,
		Subject:      refs.subject,
		Manifests:    digests(refs.manifests),
	}
	pushed := Pushed{Digest: d, Subject: refs.subject}
	err := r.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		move, err := r.checkPush(ctx, tx, p, d)
		if err != nil {
			return err
		}
		stored, err := tx.BlobSizes(ctx, p.Repo, digests(refs.all()))
		if err != nil {
			return err
		}
		if err := r.checkComplete(ctx, tx, p.Repo, refs, stored); err != nil {
			return err
		}
		if err := stillAbsent(absent, stored); err != nil {
			return err
		}
		m := m // the transaction may run again
		// A foreign layer that somebody has pushed here nevertheless is pinned like
		// any other.
		foreign := slices.DeleteFunc(digests(refs.foreign), func(d digest.Digest) bool { return !holds(stored, d) })
		m.Blobs = append(foreign, digests(refs.blobs)...)
		created, err := tx.PutManifest(ctx, m)
		if err != nil {
			return err
		}
		pushed.Created = created
		for _, moved := range move {
			if err := tx.PutTag(ctx, p.Repo, moved.Tag, d, now); err != nil {
				return err
			}
		}
		if created {
			if err := r.event(ctx, tx, EventPush, p.Repo, d, "", p.Caller); err != nil {
				return err
			}
		}
		if err := r.moved(ctx, tx, p.Repo, d, move, p.Caller); err != nil {
			return err
		}
		if admitted.Commit == nil {
			return nil
		}
		return admitted.Commit(ctx, tx, Written{Created: created, Moved: move})
	})
	return pushed, err
}

func manifestDigest(p ManifestPush) (digest.Digest, error) {
	if p.Digest == "" {
		return digest.SHA256.FromBytes(p.Content), nil
	}
	if got := p.Digest.Algorithm().FromBytes(p.Content); got != p.Digest {
		return "", wrongDigest(p.Digest, "manifest")
	}
	return p.Digest, nil
}

func wrongDigest(want digest.Digest, what string) *Error {
	return &Error{
		Code: DigestInvalid, Message: "the digest given is not that of the " + what + " received", Detail: fields{"digest": want},
	}
}

// TooLarge is the error of something above its bound in bytes.
func TooLarge(code Code, what string, limit int64) *Error {
	return &Error{
		Code: code, Message: fmt.Sprintf("the %s is larger than %d bytes", what, limit),
		Detail: fields{"limit": limit}, Err: ErrTooLarge,
	}
}

// refused passes refusals on as they are and says of any other error what it
// ended.
func refused(err error, format string, args ...any) error {
	var one *Error
	var many Errors
	if errors.As(err, &one) || errors.As(err, &many) {
		return err
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// checkComplete makes sure that everything the manifest needs is held by its
// repository in the moment it is written, in the sizes that it gives. stored has
// the sizes of the blobs that are held.
func (r *Registry) checkComplete(
	ctx context.Context, tx meta.Reader, repo string, refs references, stored map[digest.Digest]int64,
) error {
	for _, d := range refs.blobs {
		if size, ok := stored[d.digest]; ok && size != d.size {
			return &Error{
				Code: ManifestInvalid, Message: "the manifest gives a blob another size than it has",
				Detail: fields{"digest": d.digest, "size": d.size, "stored": size},
			}
		}
	}
	// Nobody could judge what comes later.
	if r.opts.Sparse && (r.opts.Guarded == nil || !r.opts.Guarded(repo)) {
		return nil
	}
	missing := slices.DeleteFunc(digests(refs.blobs), func(d digest.Digest) bool { return holds(stored, d) })
	if err := missingParts("blob", missing); err != nil || len(refs.manifests) == 0 {
		return err
	}
	missing, err := tx.MissingManifests(ctx, repo, digests(refs.manifests))
	if err != nil {
		return err
	}
	return missingParts("manifest", missing)
}

func holds(stored map[digest.Digest]int64, d digest.Digest) bool {
	_, ok := stored[d]
	return ok
}

// missingParts is an error for each of ds, nil if there are none.
func missingParts(what string, ds []digest.Digest) error {
	if len(ds) == 0 {
		return nil
	}
	errs := make(Errors, 0, min(len(ds), maxReported))
	for _, d := range ds[:min(len(ds), maxReported)] {
		errs = append(errs, &Error{
			Code: ManifestBlobUnknown, Message: "the manifest names a " + what + " that this repository does not hold",
			Detail: fields{"digest": d},
		})
	}
	return errs
}

// checkPush applies the condition of a push and the rules of its tags, and
// returns the tags that have to be written: not those that are right already,
// which keeps a repeated push free of writes. Without tags the condition is
// about the manifest itself.
func (r *Registry) checkPush(ctx context.Context, tx meta.Tx, p ManifestPush, d digest.Digest) (move []TagMoved, err error) {
	if len(p.Tags) == 0 {
		return nil, checkManifest(ctx, tx, p, d)
	}
	for _, tag := range p.Tags {
		current, err := currentDigest(ctx, tx, p.Repo, tag)
		if err != nil {
			return nil, err
		}
		if err := p.Condition.check(tag, current); err != nil {
			return nil, err
		}
		if current == d {
			continue
		}
		if !r.opts.MutableVersions && Immutable(tag) {
			if err := checkImmutable(ctx, tx, p.Repo, tag, current, d); err != nil {
				return nil, err
			}
		}
		move = append(move, TagMoved{Tag: tag, From: current})
	}
	return move, nil
}

// checkManifest applies the condition of a push by digest.
func checkManifest(ctx context.Context, tx meta.Tx, p ManifestPush, d digest.Digest) error {
	if p.Condition.empty() {
		return nil
	}
	current := d
	if _, err := tx.Manifest(ctx, p.Repo, d); absent(err) {
		current = ""
	} else if err != nil {
		return err
	}
	return p.Condition.check(d.String(), current)
}

// currentDigest is what tag points to, "" if there is no such tag.
func currentDigest(ctx context.Context, tx meta.Reader, repo, tag string) (digest.Digest, error) {
	t, err := tx.Tag(ctx, repo, tag)
	if absent(err) {
		return "", nil
	}
	return t.Digest, err
}

// checkImmutable decides about a full version that does not point to d now.
func checkImmutable(ctx context.Context, tx meta.Reader, repo, tag string, current, d digest.Digest) error {
	detail := fields{"name": repo, "tag": tag, "pushed": d, "setting": SettingImmutableTags, "value": "semver"}
	if current != "" {
		detail["digest"] = current
		return &Error{
			Code:    Denied,
			Message: "tag " + tag + " is a full version and never moves (" + SettingImmutableTags + " is semver): publish a new version",
			Detail:  detail,
		}
	}
	was, err := tx.Tombstone(ctx, repo, tag)
	if absent(err) || was == d {
		return nil
	}
	if err != nil {
		return err
	}
	detail["digest"] = was
	return &Error{
		Code: Denied,
		Message: "tag " + tag + " was deleted and is a full version, which may come back only with the digest it had (" +
			SettingImmutableTags + " is semver)",
		Detail: detail,
	}
}

func (c Condition) empty() bool {
	return c.Match == nil && !c.Exists && c.NoneMatch == nil && !c.Absent
}

// check compares the condition with the digest that is there, "" for nothing.
func (c Condition) check(what string, current digest.Digest) error {
	ok := true
	switch {
	case c.Exists && current == "",
		c.Match != nil && !slices.Contains(c.Match, current),
		c.Absent && current != "",
		current != "" && slices.Contains(c.NoneMatch, current):
		ok = false
	}
	if ok {
		return nil
	}
	detail := fields{"reference": what}
	message := what + " is not there, and the request is conditional on what it is"
	if current != "" {
		detail["digest"] = current
		message = what + " is " + current.String() + " now, which the request's condition rules out"
	}
	return &Error{Code: Denied, Message: message, Detail: detail, Err: ErrPrecondition}
}
