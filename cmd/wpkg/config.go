package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/artifact/ref"
)

// builtinRegistry is where wreg listens if nobody says otherwise, so that a new
// user's first push needs no flag.
const builtinRegistry = "127.0.0.1:5080"

// maxConfig bounds the configuration file in bytes.
const maxConfig = 1 << 20

// config is the configuration file, wpkg/config.yaml in the user's folder for
// configuration ($XDG_CONFIG_HOME, ~/.config). All of it is optional.
type config struct {
	// Registry is the host of references that name none. By default it is
	// 127.0.0.1:5080, where wreg listens.
	Registry string `yaml:"registry"`

	// Namespaces maps the namespace of a package identifier to where its
	// packages lie: a host, which is then asked for its prefix, or
	// host/prefix.
	Namespaces map[string]string `yaml:"namespaces"`

	path string // of the file, "" if there is none
}

// config reads the configuration, once.
func (t *tool) config() (*config, error) {
	if t.cfg != nil {
		return t.cfg, nil
	}
	cfg, err := readConfig(t.configFile)
	if err != nil {
		return nil, err
	}
	if t.registry != "" {
		if err := ref.CheckHost(t.registry); err != nil {
			return nil, usagef("--registry: %v", err)
		}
	}
	t.cfg = cfg
	return cfg, nil
}

// configPath is where the configuration lies without --config.
func configPath() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "wpkg", "config.yaml"), err
}

// configPath is where the configuration of this run lies, "" without a home.
func (t *tool) configPath() string {
	if t.configFile != "" {
		return t.configFile
	}
	path, _ := configPath()
	return path
}

// readConfig reads path, or the user's own file, which may be absent.
func readConfig(path string) (*config, error) {
	optional := path == ""
	if optional {
		var err error
		if path, err = configPath(); err != nil {
			return &config{}, nil // no home, no configuration
		}
	}
	f, err := os.Open(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return &config{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	if len(b) > maxConfig {
		return nil, fmt.Errorf("configuration %s: more than %d bytes", path, maxConfig)
	}
	cfg := &config{path: path}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(cfg); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return cfg, cfg.check()
}

func (c *config) check() error {
	if c.Registry != "" {
		if err := ref.CheckHost(c.Registry); err != nil {
			return fmt.Errorf("configuration %s: registry: %w", c.path, err)
		}
	}
	for ns, home := range c.Namespaces {
		host, prefix, _ := strings.Cut(home, "/")
		err := ref.CheckHost(host)
		if err == nil && prefix != "" {
			err = ref.CheckName(strings.TrimSuffix(prefix, "/"))
		}
		if err != nil {
			return fmt.Errorf("configuration %s: namespace %s: %w", c.path, ns, err)
		}
	}
	return nil
}

// defaultRegistry is the host of references that name none: --registry or
// $WPKG_REGISTRY, the configuration's, wreg's own.
func (t *tool) defaultRegistry(c *config) string {
	for _, host := range []string{t.registry, c.Registry} {
		if host != "" {
			return host
		}
	}
	return builtinRegistry
}

// namespaceHome is the host of a namespace. With mapped it comes from the
// configuration with a prefix, and the registry is not asked.
func (t *tool) namespaceHome(c *config, namespace string) (host, prefix string, mapped bool) {
	home := c.Namespaces[namespace]
	if home == "" || t.registry != "" {
		return t.defaultRegistry(c), "", false
	}
	host, prefix, mapped = strings.Cut(home, "/")
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return host, prefix, mapped
}
