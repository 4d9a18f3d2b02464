package main

import (
	"fmt"

	"github.com/wreg-project/wreg/internal/config"
)

func (s *stores) openDistribution(name string, address config.DSN) error {
	return fmt.Errorf("storage %s: this build has no driver %q", address, name)
}
