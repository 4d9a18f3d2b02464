package main

import (
	"errors"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
)

// queryError shows in a query what a registry found wrong with it.
func queryError(err error, query string) error {
	e, ok := errors.AsType[*client.CatalogError](err)
	if !ok || e.Code != wire.CodeInvalidQuery {
		return err
	}
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	return &located{
		error: errors.New(text), hint: e.Hint,
		marks: []mark{{line: lineOf(query, max(e.Line, 1)), column: e.Column}},
	}
}
