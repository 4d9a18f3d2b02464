package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/storage/meta"
)

// postNotice yanks or deprecates tags, or takes that back. It says the same of a
// tag twice without complaint.
func (a *API) postNotice(ctx context.Context, q *request) (answer, error) {
	verb := path.Base(q.op.path)
	reason := q.body.(*wire.NoticeRequest).Reason
	d, err := a.digestOf(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	now := a.Clock()
	err = a.Meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		names := []string{q.version.tag}
		if q.version.tag == "" {
			var err error
			if names, err = tx.ManifestTags(ctx, q.repo, d); err != nil {
				return err
			}
			if len(names) == 0 {
				return &wire.Problem{Code: wire.CodeConflict, Detail: "no tag names this manifest", Hint: "notices are about tags: tag it first"}
			}
		}
		var changed []digest.Digest
		for _, tag := range names {
			v, err := tx.Version(ctx, q.repo, tag)
			if err != nil {
				return err
			}
			n, differs := notice(verb, v.Notice)
			if !differs {
				continue
			}
			if n.State != meta.NoticeNone {
				n.Reason, n.By, n.Time = reason, q.caller.Name, now
			}
			if err := tx.SetNotice(ctx, q.repo, tag, n); err != nil {
				return err
			}
			if err := tx.PutEvent(ctx, noticeEvent(q, verb, reason, v, now)); err != nil {
				return err
			}
			changed = append(changed, v.Digest)
		}
		if len(changed) == 0 || a.Ingest == nil {
			return nil
		}
		return a.Ingest.Changed(ctx, tx, q.repo, changed)
	})
	if err != nil {
		return answer{}, a.missing(q.repo, q.version.String(), fmt.Errorf("%s: %w", verb, err))
	}
	info, err := a.version(ctx, q, q.version, nil)
	if err != nil {
		return answer{}, err
	}
	return found(info)
}

// notice is what a verb makes of what is said about a tag, and whether it says
// something else. To take back what nobody said changes nothing.
func notice(verb string, now meta.Notice) (meta.Notice, bool) {
	switch verb {
	case "yank":
		return meta.Notice{State: meta.NoticeYanked}, true
	case "deprecate":
		return meta.Notice{State: meta.NoticeDeprecated}, true
	case "unyank":
		return meta.Notice{}, now.State == meta.NoticeYanked
	default: // undeprecate
		return meta.Notice{}, now.State == meta.NoticeDeprecated
	}
}

func noticeEvent(q *request, verb, reason string, v meta.Version, now time.Time) meta.Event {
	e := meta.Event{Time: now, Kind: verb, Repo: q.repo, Digest: v.Digest, Tag: v.Name, Actor: q.caller.Name}
	if reason != "" {
		e.Detail, _ = json.Marshal(map[string]string{"reason": reason}) // a map of texts
	}
	return e
}
