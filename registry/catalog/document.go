package catalog

import (
	"context"
	_ "embed"

	"github.com/wreg-project/wreg/registry/catalog/wire"
)

// The document is made by a test out of the table of operations and the types of
// package wire: UPDATE=1 go test ./registry/catalog -run Generated. docs/spec has
// a link to it.
//
//go:embed openapi.json
var document []byte

// getDocument gives the OpenAPI document of all this.
func (a *API) getDocument(context.Context, *request) (answer, error) {
	return answer{text: document, mediaType: wire.MediaTypeJSON}, nil
}
