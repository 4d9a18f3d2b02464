package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of settings whose extremes would break the server rather than suit
// somebody.
const (
	minManifest = 64 << 10 // bytes; the specification wants 4 MiB to work, small servers less
	maxManifest = 64 << 20 // bytes, each held in memory while it is pushed
	maxTimeout  = 30 * 24 * time.Hour
	maxDays     = 3650
	maxWorkers  = 256
	minInterval = time.Minute     // feeds are others' servers
	minLease    = 5 * time.Second // it is prolonged three times as often, by a transaction
)

// validate checks what no single field can know. Every error is reported.
func (c Config) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if err := checkAddress(c.Listen); err != nil {
		fail("listen: %w", err)
	} else if missing := c.missing(); missing != "" && !c.Loopback() && !c.InsecurePublic {
		fail("listen: %s can be reached from other machines, and there is no %s: set it up, "+
			"listen on 127.0.0.1, or accept it with --insecure-public", c.Listen, missing)
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		fail("tls: tls.cert and tls.key are set together or not at all")
	}
	if len(c.Auth.AnonymousPull) > 0 && c.Open() {
		fail("auth.anonymous_pull: everyone may do everything while auth.htpasswd is not set")
	}
	if len(c.Auth.Admins)+len(c.Auth.Approvers)+len(c.Auth.Workers) > 0 && c.Open() {
		fail("auth.admins, auth.approvers, auth.workers: nobody is known by name while auth.htpasswd is not set")
	}
	for _, ns := range c.Auth.AnonymousPull {
		if ns != "*" && (strings.HasPrefix(ns, "/") || strings.HasSuffix(ns, "/") || strings.Contains(ns, "*")) {
			fail("auth.anonymous_pull: %q is neither a namespace like team nor *", clip(ns))
		}
	}
	switch scheme := c.Storage.Scheme(); {
	case scheme == "mem" && c.Storage.Rest() == "":
	case (scheme == "fs" || strings.HasPrefix(scheme, "distribution+")) && c.Storage.Rest() != "":
	default:
		fail("storage: %q is none of fs:DIR, mem: and distribution+NAME:…", clip(c.Storage.String()))
	}
	if c.Limits.MaxManifest < minManifest || c.Limits.MaxManifest > maxManifest {
		fail("limits.max_manifest: %s is not between %s and %s", c.Limits.MaxManifest, Size(minManifest), Size(maxManifest))
	}
	if c.Limits.MaxBlob < c.Limits.MaxManifest {
		fail("limits.max_blob: %s is less than limits.max_manifest", c.Limits.MaxBlob)
	}
	if c.Limits.MaxHeader > maxFile {
		fail("limits.max_header: %s is more than %s", c.Limits.MaxHeader, Size(maxFile))
	}
	if c.Advisories.Interval < minInterval {
		fail("advisories.interval: %s is less than %s", c.Advisories.Interval, minInterval)
	}
	if c.AOT.Lease < minLease {
		fail("aot.lease: %s is less than %s", c.AOT.Lease, minLease)
	}
	if c.AOT.MaxTime < c.AOT.Lease {
		fail("aot.max_time: %s is less than aot.lease, %s", c.AOT.MaxTime, c.AOT.Lease)
	}
	errs = append(errs, c.Ingest.validate(), c.Signing.validate(), c.checkTimes())
	if l := c.Metrics.Listen; l != "" && l != "off" {
		errs = append(errs, named("metrics.listen", checkAddress(l)))
	}
	return errors.Join(errs...)
}

// missing names what a public address should have.
func (c Config) missing() string {
	switch {
	case c.Open() && c.TLS.Cert == "":
		return "authentication (auth.htpasswd) or TLS (tls.cert)"
	case c.Open():
		return "authentication (auth.htpasswd)"
	case c.TLS.Cert == "":
		return "TLS (tls.cert)"
	}
	return ""
}

func (i Ingest) validate() error {
	var errs []error
	for key, days := range map[string]int{
		"quarantine_days": i.QuarantineDays, "decision_days": i.DecisionDays, "event_days": i.EventDays,
	} {
		if days > maxDays {
			errs = append(errs, fmt.Errorf("ingest.%s: %d is more than %d", key, days, maxDays))
		}
	}
	if i.Workers > maxWorkers {
		errs = append(errs, fmt.Errorf("ingest.workers: %d is more than %d", i.Workers, maxWorkers))
	}
	if i.Lease < minLease {
		errs = append(errs, fmt.Errorf("ingest.lease: %s is less than %s", i.Lease, minLease))
	}
	return errors.Join(errs...)
}

func (s Signing) validate() error {
	alone := []string{AttestAuto, AttestNone}
	for i, a := range s.Attest {
		if slices.Contains(alone, a) {
			if len(s.Attest) > 1 {
				return fmt.Errorf("signing.attest: %s stands alone", a)
			}
			continue
		}
		if !slices.Contains(Attestations, a) {
			all := slices.Concat(Attestations, alone)
			return fmt.Errorf("signing.attest: %q is not one of %s", clip(a), strings.Join(all, ", "))
		}
		if slices.Contains(s.Attest[:i], a) {
			return fmt.Errorf("signing.attest: %s is there twice", a)
		}
	}
	return nil
}

func (c Config) checkTimes() error {
	var errs []error
	for _, f := range Fields() {
		if d, ok := f.value(&c).Interface().(time.Duration); ok && d > maxTimeout {
			errs = append(errs, fmt.Errorf("%s: %s is more than %s", f.Key, d, maxTimeout))
		}
	}
	return errors.Join(errs...)
}

func checkAddress(a string) error {
	_, port, err := net.SplitHostPort(a)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", clip(a))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port of %q is not a number up to 65535", clip(a))
	}
	return nil
}
