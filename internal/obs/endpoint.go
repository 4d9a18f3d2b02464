package obs

import "strings"

// Endpoint names what a path is for, out of a small fixed set: paths hold names
// that clients choose, and each label of a metric stays in memory for ever.
func Endpoint(path string) string {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return page(path)
	}
	switch {
	case rest == "":
		return "base"
	case rest == "_catalog":
		return "catalog"
	case strings.HasSuffix(rest, "/tags/list"):
		return "tags"
	}
	// Names may hold any of these words, so the last one counts, with what the
	// grammar has behind it: one component, or none for a new upload.
	head, tail := split(rest)
	switch {
	case strings.HasSuffix(head, "/manifests"):
		return "manifest"
	case strings.HasSuffix(head, "/referrers"):
		return "referrers"
	case strings.HasSuffix(head, "/blobs/uploads"), tail == "uploads" && strings.HasSuffix(head, "/blobs"):
		return "upload"
	case strings.HasSuffix(head, "/blobs"):
		return "blob"
	}
	return "other"
}

func split(path string) (head, tail string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

func page(path string) string {
	switch path {
	case "/v2":
		return "base"
	case "/healthz", "/readyz":
		return "health"
	case "/metrics":
		return "metrics"
	}
	switch {
	case strings.HasPrefix(path, "/v2"):
		return "other"
	case strings.HasPrefix(path, "/api/"):
		return api(path)
	}
	return "web"
}

// api tells apart the parts of the catalog API that cost differently.
func api(path string) string {
	rest := strings.TrimPrefix(path, "/api/v1/")
	first, _, _ := strings.Cut(rest, "/")
	switch first {
	case "search", "audit", "diff", "events", "policies":
		return "api-" + first
	}
	return "api"
}
