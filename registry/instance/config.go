package instance

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/wreg-project/wreg/signing/key"
)

// Configured reads the key that a setting names: a file with a private key in
// PEM that is not encrypted, or env:NAME for a variable with one. It is nil for
// "".
func Configured(setting string) func() (*key.Private, error) {
	if setting == "" {
		return nil
	}
	if name, ok := strings.CutPrefix(setting, "env:"); ok {
		return func() (*key.Private, error) {
			text, ok := os.LookupEnv(name)
			if !ok {
				return nil, fmt.Errorf("the variable %s is not set", name)
			}
			k, err := key.ParsePrivate([]byte(text))
			if err != nil {
				return nil, fmt.Errorf("variable %s: %w", name, err)
			}
			return k, nil
		}
	}
	return func() (*key.Private, error) {
		f, err := os.Open(setting)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, key.MaxPEM+1))
		if err != nil {
			return nil, err
		}
		k, err := key.ParsePrivate(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
		return k, nil
	}
}
