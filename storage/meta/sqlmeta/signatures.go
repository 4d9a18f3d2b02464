package sqlmeta

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// Signatures implements meta.Signatures.
func (r reader) Signatures(ctx context.Context, repo string, d digest.Digest) (all []meta.Signature, material string, err error) {
	err = each(ctx, r.q, "signatures", args(repo, string(d)), func(rows *sql.Rows) error {
		var s meta.Signature
		err := rows.Scan(&material, (*string)(&s.Carrier), (*string)(&s.Layer), &s.Form, &s.PredicateType, &s.KeyID, &s.KeyName, &s.Identity,
			&s.Issuer, flag{&s.Logged}, optional{&s.Time}, &s.Problem, &s.PredicateSize, (*[]byte)(&s.Proof), (*[]byte)(&s.Predicate))
		if err != nil {
			return r.q.fail("signatures", err)
		}
		s.Proof, s.Predicate = nilIfEmpty(s.Proof), nilIfEmpty(s.Predicate)
		all = append(all, s)
		return nil
	})
	if err != nil || len(all) > 0 {
		return all, material, err
	}
	found, err := one(ctx, r.q, "has_manifest", args(repo, string(d)), new(int64))
	if err == nil && !found {
		err = notFound(ctx, r.q, repo, string(d))
	}
	return nil, "", err
}

func nilIfEmpty(text json.RawMessage) json.RawMessage {
	if len(text) == 0 {
		return nil
	}
	return text
}

// StaleSignatures implements meta.Signatures.
func (r reader) StaleSignatures(ctx context.Context, material string, after meta.ManifestKey, limit int) ([]meta.ManifestKey, error) {
	var out []meta.ManifestKey
	params := args(material, after.Repo, string(after.Digest), rowLimit(limit))
	err := each(ctx, r.q, "stale_signatures", params, func(rows *sql.Rows) error {
		var k meta.ManifestKey
		if err := rows.Scan(&k.Repo, (*string)(&k.Digest)); err != nil {
			return r.q.fail("stale_signatures", err)
		}
		out = append(out, k)
		return nil
	})
	return out, err
}

// PutSignatures implements meta.SignatureWriter.
func (t *tx) PutSignatures(ctx context.Context, repo string, d digest.Digest, material string, all []meta.Signature) error {
	if err := t.putSignatures(ctx, repo, d, material, all); err != nil {
		return fmt.Errorf("signatures of %s in %s: %w", d, repo, err)
	}
	return nil
}

func (t *tx) putSignatures(ctx context.Context, repo string, d digest.Digest, material string, all []meta.Signature) error {
	if len(all) > meta.MaxSignatures {
		return fmt.Errorf("%d are more than %d", len(all), meta.MaxSignatures)
	}
	if err := checkSignatureTexts(material); err != nil {
		return err
	}
	id, err := t.repositoryID(ctx, repo)
	if err != nil {
		return err
	}
	manifest, err := t.manifestID(ctx, id, repo, d)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "delete_signatures", manifest); err != nil {
		return err
	}
	for i, s := range all {
		if err := checkSignature(s); err != nil {
			return fmt.Errorf("number %d: %w", i, err)
		}
		var at int64
		if !s.Time.IsZero() {
			at = micros(s.Time)
		}
		_, err := t.exec(ctx, "insert_signature", manifest, int64(i), material, string(s.Carrier), string(s.Layer), s.Form, s.PredicateType,
			s.KeyID, s.KeyName, s.Identity, s.Issuer, bit(s.Logged), at, s.Problem, s.PredicateSize, notNil(s.Proof), notNil(s.Predicate))
		if err != nil {
			return err
		}
	}
	return nil
}

func checkSignature(s meta.Signature) error {
	switch {
	case len(s.Proof) > meta.MaxProof:
		return fmt.Errorf("its proof has %d bytes, more than %d", len(s.Proof), meta.MaxProof)
	case len(s.Predicate) > meta.MaxPredicate:
		return fmt.Errorf("its predicate has %d bytes, more than %d", len(s.Predicate), meta.MaxPredicate)
	case len(s.Proof) > 0 && !json.Valid(s.Proof):
		return errors.New("its proof is no JSON")
	case len(s.Predicate) > 0 && !json.Valid(s.Predicate):
		return errors.New("its predicate is no JSON")
	}
	return checkSignatureTexts(
		string(s.Carrier), string(s.Layer), s.Form, s.PredicateType, s.KeyID, s.KeyName, s.Identity, s.Issuer, s.Problem,
	)
}

func checkSignatureTexts(texts ...string) error {
	for _, text := range texts {
		if len(text) > meta.MaxSignatureText {
			return fmt.Errorf("%.40q has %d bytes, more than %d", text, len(text), meta.MaxSignatureText)
		}
	}
	return checkText("signature", texts...)
}
