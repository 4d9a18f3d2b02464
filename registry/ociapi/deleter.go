package ociapi

import "net/http"

// deleteManifest serves end-9, DELETE /v2/<name>/manifests/<reference>: of a
// tag only the tag, of a digest the manifest with all its tags.
func (a *api) deleteManifest(w http.ResponseWriter, r *http.Request, c call) error {
	var err error
	if c.ref.Tag != "" {
		err = a.reg.DeleteTag(r.Context(), c.repo, c.ref.Tag, condition(r.Header), c.caller)
	} else {
		err = a.reg.DeleteManifest(r.Context(), c.repo, c.ref.Digest, c.caller)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// deleteBlob serves end-10, DELETE /v2/<name>/blobs/<digest>.
func (a *api) deleteBlob(w http.ResponseWriter, r *http.Request, c call) error {
	if err := a.reg.DeleteBlob(r.Context(), c.repo, c.digest); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// deleteUpload serves end-14, DELETE <upload>: its bytes are forgotten.
func (a *api) deleteUpload(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := a.reg.CancelUpload(c.session()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
