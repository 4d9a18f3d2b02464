package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // registers filesystem
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"   // registers inmemory

	"github.com/wreg-project/wreg/internal/config"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/storage/blob/distdriver"
)

// openDistribution opens distribution+NAME:PLACE?PARAMETERS with a driver of the
// distribution project. The place is the folder of the filesystem driver, and
// the prefix of all keys for others; the parameters are those that the driver
// has in distribution's own configuration. Uploads are spooled below data.
func (s *stores) openDistribution(ctx context.Context, address config.DSN, data string) error {
	place, query, err := address.Query()
	if err != nil {
		return err
	}
	parameters := map[string]any{}
	for name, values := range query {
		if len(values) != 1 {
			return fmt.Errorf("storage %s: parameter %s is given %d times", address, name, len(values))
		}
		parameters[name] = values[0]
	}
	spool := filepath.Join(data, "spool")
	options := distdriver.Options{Prefix: place, Spool: spool}
	name := strings.TrimPrefix(address.Scheme(), "distribution+")
	if name == "filesystem" {
		options.Prefix, parameters["rootdirectory"] = "", place
	}
	driver, err := factory.Create(ctx, name, parameters)
	if err != nil {
		return fmt.Errorf("storage %s: %w", address, err)
	}
	if err := durable.MkdirAll(spool, dirMode); err != nil {
		return fmt.Errorf("folder for uploads: %w", err)
	}
	s.blobs = distdriver.New(driver, options)
	return nil
}
