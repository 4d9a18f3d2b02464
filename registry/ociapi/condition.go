package ociapi

import (
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry"
)

// maxTags bounds the entity tags of one header and the tags of one push.
const maxTags = 100

// etag is the entity tag of content: its digest is as strong as they come.
func etag(d digest.Digest) string { return `"` + d.String() + `"` }

// condition reads If-Match and If-None-Match of a write. An entity tag that is
// no digest of ours matches nothing.
func condition(h http.Header) registry.Condition {
	var c registry.Condition
	if values := h.Values("If-Match"); len(values) > 0 {
		c.Match, c.Exists = entityTags(values, false)
		if c.Exists {
			c.Match = nil
		}
	}
	if values := h.Values("If-None-Match"); len(values) > 0 {
		c.NoneMatch, c.Absent = entityTags(values, true)
	}
	return c
}

// entityTags lists the digests of a header, and whether it has a star. Weak
// tags count only where RFC 9110 compares weakly. The list is never nil.
func entityTags(values []string, weak bool) (list []digest.Digest, star bool) {
	list = []digest.Digest{}
	for _, value := range values {
		for tag := range strings.SplitSeq(value, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" {
				return list, true
			}
			bare, isWeak := strings.CutPrefix(tag, "W/")
			if isWeak && !weak || len(list) == maxTags {
				continue
			}
			if n := len(bare); n > 2 && bare[0] == '"' && bare[n-1] == '"' {
				list = append(list, digest.Digest(bare[1:n-1]))
			}
		}
	}
	return list, false
}

// fresh reports whether a client that sent these headers has d already, so that
// 304 is the answer.
func fresh(h http.Header, d digest.Digest) bool {
	values := h["If-None-Match"]
	if len(values) == 0 {
		return false
	}
	list, star := entityTags(values, true)
	for _, have := range list {
		star = star || have == d
	}
	return star
}

// checkMatch refuses a read whose If-Match does not name d.
func checkMatch(h http.Header, d digest.Digest) error {
	values := h["If-Match"]
	if len(values) == 0 {
		return nil
	}
	list, star := entityTags(values, false)
	for _, want := range list {
		star = star || want == d
	}
	if star {
		return nil
	}
	return &registry.Error{
		Code: registry.Denied, Message: "the content is not what If-Match asks for",
		Detail: map[string]any{"digest": d}, Err: registry.ErrPrecondition,
	}
}

// rangeWanted is the Range header to follow for d: none if If-Range names other
// content.
func rangeWanted(h http.Header, d digest.Digest) string {
	if v := h["If-Range"]; len(v) > 0 && v[0] != etag(d) {
		return ""
	}
	return h.Get("Range")
}
