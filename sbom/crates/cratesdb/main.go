// Command cratesdb writes the database that package crates embeds, from what
// Cargo keeps of the crates that it has resolved and downloaded.
//
// It asks no registry itself. `make crates-db` lets Cargo resolve the manifest in
// the folder roots, a list of well-known crates of all fields, under a Cargo home
// of its own, and then runs
//
//	go run ./sbom/crates/cratesdb -home .cache/crates -o sbom/crates/crates.db
//
// Add crates to roots/Cargo.toml to know more. The result depends on what the
// registry holds that day.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"

	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/sbom/crates/internal/db"
)

func main() {
	home := flag.String("home", "", "the Cargo home to read")
	out := flag.String("o", "crates.db", "the file to write")
	flag.Parse()
	if err := run(*home, *out); err != nil {
		fmt.Fprintf(os.Stderr, "cratesdb: %v\n", err)
		os.Exit(1)
	}
}

func run(home, out string) error {
	index, err := readIndex(home)
	if err != nil {
		return err
	}
	kinds, err := readKinds(home)
	if err != nil {
		return err
	}
	crates := build(index, kinds)
	var buf bytes.Buffer
	if err := db.Encode(&buf, crates); err != nil {
		return err
	}
	versions, records := 0, 0
	for _, c := range crates {
		versions, records = versions+len(c.Versions), records+len(c.Records)
	}
	fmt.Printf("%d crates, %d versions, %d different lists of dependencies, %d bytes\n", len(crates), versions, records, buf.Len())
	return durable.WriteFile(out, buf.Bytes(), 0o644)
}
