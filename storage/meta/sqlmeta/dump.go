package sqlmeta

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// dumpFormat is the number of the format below.
const dumpFormat = 1

// maxLine bounds a line of a dump in bytes. The longest are manifests: up to
// 4 MiB, in base64, with annotations and lists of digests beside them.
const maxLine = 32 << 20

// A row is a line of a dump after the header. Kind says which fields are set.
type row struct {
	Kind       string               `json:"kind"`
	Repo       string               `json:"repo,omitempty"`
	Tag        string               `json:"tag,omitempty"`
	Digest     digest.Digest        `json:"digest,omitempty"`
	Created    time.Time            `json:"created,omitzero"`
	Updated    time.Time            `json:"updated,omitzero"` // also since when a blob has its state, or a tag is deleted
	Generation int64                `json:"generation,omitempty"`
	Size       int64                `json:"size,omitempty"` // bytes
	Uploader   string               `json:"uploader,omitempty"`
	State      meta.BlobState       `json:"state,omitempty"`
	Manifest   *meta.ManifestRecord `json:"manifest,omitempty"`
	Notice     *meta.Notice         `json:"notice,omitempty"`
	Revision   int64                `json:"revision,omitempty"`
	Policy     *meta.PolicyRecord   `json:"policy,omitempty"`
	Approval   *meta.ApprovalRecord `json:"approval,omitempty"`
	Trust      *meta.TrustEntry     `json:"trust,omitempty"`
	Rows       int64                `json:"rows,omitempty"`
}

// The kinds in their order in a dump, in which a row needs only earlier ones.
const (
	kindRepository = "repository"
	kindBlob       = "blob"
	kindLink       = "link"
	kindManifest   = "manifest"
	kindTag        = "tag"
	kindTombstone  = "tombstone"
	kindPolicy     = "policy"
	kindApproval   = "approval"
	kindRevision   = "revision" // of policies and approvals: the last may be that of a deleted one
	kindTrust      = "trust"
	kindEnd        = "end" // Rows counts the rows before it: a dump that was cut short is not loaded
)

// dumps says for each kind which statement lists it and how a row is read.
var dumps = []struct {
	kind, query string
	scan        func(*sql.Rows, *row) error
}{
	{kindRepository, "dump_repositories", func(rows *sql.Rows, r *row) error {
		return rows.Scan(&r.Repo, when{&r.Created}, when{&r.Updated})
	}},
	{kindBlob, "dump_blobs", func(rows *sql.Rows, r *row) error {
		return rows.Scan(&r.Digest, &r.Generation, &r.Size, &r.State, when{&r.Updated})
	}},
	{kindLink, "dump_links", func(rows *sql.Rows, r *row) error {
		return rows.Scan(&r.Repo, &r.Digest, when{&r.Created}, &r.Uploader)
	}},
	{kindManifest, "dump_manifests", func(rows *sql.Rows, r *row) error {
		m := &meta.ManifestRecord{}
		r.Manifest = m
		var annotations string
		err := rows.Scan(&r.Repo, &r.Digest, when{&r.Created}, &m.MediaType, &m.ArtifactType, &m.Content, &annotations,
			&m.Subject, (*digests)(&m.Blobs), (*digests)(&m.Manifests))
		if err == nil {
			m.Annotations, err = decodeAnnotations(annotations)
		}
		return err
	}},
	{kindTag, "dump_tags", func(rows *sql.Rows, r *row) error {
		var n meta.Notice
		err := rows.Scan(&r.Repo, &r.Tag, &r.Digest, when{&r.Updated}, (*int)(&n.State), &n.Reason, &n.By, optional{&n.Time})
		if n.State != meta.NoticeNone {
			r.Notice = &n
		}
		return err
	}},
	{kindTombstone, "dump_tombstones", func(rows *sql.Rows, r *row) error {
		return rows.Scan(&r.Repo, &r.Tag, &r.Digest, when{&r.Updated})
	}},
	{kindPolicy, "dump_policies", func(rows *sql.Rows, r *row) error {
		var p meta.Policy
		err := scanPolicy(rows, &p)
		r.Policy, r.Revision, r.Created = policyRecord(p), p.Revision, p.Created
		return err
	}},
	{kindApproval, "dump_approvals", func(rows *sql.Rows, r *row) error {
		var a meta.Approval
		err := scanApproval(rows, &a, &r.Revision)
		r.Repo, r.Digest, r.Created, r.Approval = a.Repo, a.Digest, a.Time, approvalRecord(a)
		return err
	}},
	{kindRevision, "dump_revision", func(rows *sql.Rows, r *row) error { return rows.Scan(&r.Revision) }},
	{kindTrust, "trust_entries", func(rows *sql.Rows, r *row) error {
		r.Trust = &meta.TrustEntry{}
		return scanTrust(rows, r.Trust)
	}},
}

// when scans a time, digests a list as joinDigests makes it.
type (
	when    struct{ t *time.Time }
	digests []digest.Digest
)

func (w when) Scan(src any) error {
	u, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T", src)
	}
	*w.t = fromMicros(u)
	return nil
}

func (d *digests) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("digests are stored as %T", src)
	}
	*d = splitDigests(text)
	return nil
}

// A snapshot runs statements in one read-only transaction.
type snapshot struct {
	db *DB
	tx *sql.Tx
}

func (s snapshot) query(ctx context.Context, name string, params ...any) (*sql.Rows, error) {
	rows, err := s.tx.StmtContext(ctx, s.db.read.stmt(name)).QueryContext(ctx, params...)
	if err != nil {
		return nil, s.fail(name, err)
	}
	return rows, nil
}

func (s snapshot) fail(name string, err error) error {
	return fmt.Errorf("%s: %w", name, s.db.cfg.Wrap(err))
}

// Dump implements meta.DB. It holds one manifest in memory at a time.
func (db *DB) Dump(ctx context.Context, w io.Writer) error {
	if db.committer.closed() {
		return meta.ErrClosed
	}
	sqltx, err := db.cfg.Read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("dump: %w", db.cfg.Wrap(err))
	}
	defer func() { _ = sqltx.Rollback() }() // it wrote nothing
	s := snapshot{db, sqltx}
	buf := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	written, _, err := journalSequence(ctx, s)
	if err != nil {
		return err
	}
	if err := enc.Encode(meta.DumpHeader{Format: dumpFormat, Sequence: written}); err != nil {
		return err
	}
	var count int64
	for _, d := range dumps {
		err := each(ctx, s, d.query, nil, func(rows *sql.Rows) error {
			r := row{Kind: d.kind}
			if err := d.scan(rows, &r); err != nil {
				return s.fail(d.query, err)
			}
			count++
			return enc.Encode(r)
		})
		if err != nil {
			return fmt.Errorf("dump: %w", err)
		}
	}
	if err := enc.Encode(row{Kind: kindEnd, Rows: count}); err != nil {
		return err
	}
	return buf.Flush()
}

// Load implements meta.DB. It is one transaction, which other writers wait for.
func (db *DB) Load(ctx context.Context, r io.Reader) (meta.DumpHeader, error) {
	var header meta.DumpHeader
	err := db.committer.alone(ctx, func(ctx context.Context, t *tx) error {
		filled, err := one(ctx, t, "has_rows", nil, new(int64))
		if err != nil {
			return err
		}
		written, _, err := journalSequence(ctx, t)
		if err != nil {
			return err
		}
		if filled || written != 0 {
			return meta.ErrNotEmpty
		}
		header, err = t.load(ctx, r)
		return err
	})
	return header, err
}

func (t *tx) load(ctx context.Context, r io.Reader) (meta.DumpHeader, error) {
	t.unlogged = true
	var header meta.DumpHeader
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var n, rows int64
	ended := false
	for lines.Scan() {
		n++
		err := errors.New("it is behind the end")
		switch {
		case n == 1:
			err = readHeader(lines.Bytes(), &header)
		case !ended:
			ended, err = t.loadLine(ctx, lines.Bytes(), rows)
			rows++
		}
		if err != nil {
			return header, fmt.Errorf("dump, line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return header, fmt.Errorf("dump, line %d: %w", n+1, err)
	}
	if !ended {
		return header, fmt.Errorf("dump is cut short behind line %d: %w", n, io.ErrUnexpectedEOF)
	}
	return header, t.setDone(ctx, header.Sequence)
}

func readHeader(line []byte, h *meta.DumpHeader) error {
	if err := decodeStrict(line, h); err != nil {
		return err
	}
	if h.Format != dumpFormat || h.Sequence < 0 {
		return fmt.Errorf("format %d at sequence %d, want format %d", h.Format, h.Sequence, dumpFormat)
	}
	return nil
}

// decodeStrict refuses fields it does not know: what is not understood would be
// lost without a word.
func decodeStrict(line []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// loadLine loads one line and reports whether it was the end, which has to
// follow as many rows as it says.
func (t *tx) loadLine(ctx context.Context, line []byte, before int64) (end bool, err error) {
	var r row
	if err := decodeStrict(line, &r); err != nil {
		return false, err
	}
	if r.Kind != kindEnd {
		return false, t.loadRow(ctx, r)
	}
	if r.Rows != before {
		return false, fmt.Errorf("%d rows were written, %d read", r.Rows, before)
	}
	return true, nil
}

func (t *tx) loadRow(ctx context.Context, r row) error {
	var err error
	switch r.Kind {
	case kindRepository:
		_, err = t.exec(ctx, "load_repository", r.Repo, micros(r.Created), micros(r.Updated))
	case kindBlob:
		_, err = t.exec(ctx, "put_blob", string(r.Digest), r.Generation, r.Size, int64(r.State), micros(r.Updated))
	case kindLink:
		_, err = t.exec(ctx, "load_link", r.Repo, string(r.Digest), micros(r.Created), r.Uploader)
	case kindManifest:
		if r.Manifest == nil {
			return errors.New("it holds no manifest")
		}
		_, err = t.PutManifest(ctx, newManifest(r.Repo, meta.Record{Digest: r.Digest, Time: r.Created, Manifest: r.Manifest}))
	case kindTag:
		err = t.PutTag(ctx, r.Repo, r.Tag, r.Digest, r.Updated)
		if err == nil && r.Notice != nil {
			err = t.SetNotice(ctx, r.Repo, r.Tag, *r.Notice)
		}
	case kindTombstone:
		_, err = t.exec(ctx, "put_tombstone", r.Repo, r.Tag, string(r.Digest), micros(r.Updated))
	case kindPolicy:
		if r.Policy == nil {
			return errors.New("it holds no policy")
		}
		err = t.writePolicy(ctx, newPolicy(r.Policy, r.Revision, r.Created))
	case kindApproval:
		if r.Approval == nil {
			return errors.New("it holds no approval")
		}
		err = t.writeApproval(ctx, newApproval(r.Approval, r.Repo, r.Digest, r.Created), r.Revision)
	case kindRevision:
		err = t.setRevision(ctx, r.Revision)
	case kindTrust:
		if r.Trust == nil {
			return errors.New("it holds no trust entry")
		}
		err = t.PutTrust(ctx, *r.Trust)
	default:
		err = fmt.Errorf("a row of the unknown kind %q", r.Kind)
	}
	return err
}
