package httpx

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// A Certificate is a key pair in two files, read again when they change. It is
// safe for concurrent use.
type Certificate struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	mu      sync.Mutex
	pair    *tls.Certificate
	state   [2]fileState // of the files as last read, good or bad
	checked time.Time
}

// recheck is how long the files are taken to be unchanged.
const recheck = time.Second

type fileState struct {
	modified time.Time
	size     int64
}

// LoadCertificate reads a pair of PEM files. Later changes are noticed at a
// handshake, at most once a second; a new pair that cannot be used is logged
// once and the old one stays.
func LoadCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key, log: log, now: time.Now}
	state, err := c.stat()
	if err != nil {
		return nil, err
	}
	if c.pair, err = c.load(); err != nil {
		return nil, err
	}
	c.state, c.checked = state, c.now()
	return c, nil
}

// Get is the pair for a handshake, for tls.Config.GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= recheck {
		c.checked = now
		c.refresh()
	}
	return c.pair, nil
}

// refresh reads the files again if they changed. It notes their state before
// reading: files that change meanwhile are read once more.
func (c *Certificate) refresh() {
	state, err := c.stat()
	if err == nil && state == c.state {
		return
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = c.load()
	}
	if err != nil {
		if state != c.state {
			c.log.Error("new certificate unusable, keeping the old one", slog.Any("err", err))
		}
		c.state = state
		return
	}
	c.pair, c.state = pair, state
	c.log.Info("certificate reloaded", slog.Time("expires", pair.Leaf.NotAfter))
}

// stat describes both files; where one cannot be read its zero state counts.
func (c *Certificate) stat() (state [2]fileState, err error) {
	for i, path := range []string{c.cert, c.key} {
		info, statErr := os.Stat(path)
		if statErr != nil {
			err = statErr
			continue
		}
		state[i] = fileState{info.ModTime(), info.Size()}
	}
	return state, err
}

func (c *Certificate) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.cert, c.key, err)
	}
	return &pair, nil
}
