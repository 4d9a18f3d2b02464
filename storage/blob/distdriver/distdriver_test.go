package distdriver_test

import (
	"testing"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/blobtest"
	"github.com/wreg-project/wreg/storage/blob/distdriver"
)

func onDisk(t testing.TB) driver.StorageDriver {
	return filesystem.New(filesystem.DriverParameters{RootDirectory: t.TempDir(), MaxThreads: 100})
}

func inMemory(testing.TB) driver.StorageDriver { return inmemory.New() }

func TestContract(t *testing.T) {
	tests := []struct {
		name   string
		driver func(testing.TB) driver.StorageDriver
		opts   distdriver.Options
	}{
		{name: "filesystem", driver: onDisk},
		{name: "filesystem below a prefix", driver: onDisk, opts: distdriver.Options{Prefix: "some/where/", PutLimit: 1000}},
		{name: "inmemory", driver: inMemory},
		{name: "inmemory with a writer", driver: inMemory, opts: distdriver.Options{PutLimit: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			blobtest.Run(t, func(t *testing.T) blob.Store {
				tt.opts.Spool = t.TempDir()
				return distdriver.New(tt.driver(t), tt.opts)
			})
		})
	}
}
