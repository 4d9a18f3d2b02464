// Command fetch brings the binaries of the corpus into .cache/corpus, or where
// -to says. What is there already is kept.
//
//	go run ./test/corpus/fetch
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/wreg-project/wreg/test/corpus"
)

func main() {
	to := flag.String("to", "", "folder to fetch into; default .cache/corpus of the module")
	parallel := flag.Int("parallel", 4, "packages fetched at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *to, *parallel)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, parallel int) error {
	if dir == "" {
		var err error
		if dir, err = corpus.Dir(); err != nil {
			return err
		}
	}
	entries, err := corpus.List()
	if err != nil {
		return err
	}
	packaged, left := 0, 0
	var bytes int64
	for _, e := range entries {
		if !e.Packaged() {
			left++
			continue
		}
		packaged++
		bytes += e.Size
	}
	have := 0
	err = corpus.Fetch(ctx, dir, entries, corpus.Options{
		Parallel: parallel,
		Done: func(pkg string, files int, err error) {
			have = files
			if err == nil {
				fmt.Printf("%3d of %d files  %s\n", files, packaged, pkg)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("%w\n%d of %d binaries are in %s; those above could not be fetched, again continues", err, have, packaged, dir)
	}
	fmt.Printf("%d binaries, %d MB, in %s; %d of the list have no package and are left out\n", packaged, bytes/1e6, dir, left)
	return nil
}
