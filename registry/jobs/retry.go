package jobs

import (
	"math/rand/v2"
	"time"
)

// Permanent marks an error that no repetition would mend: the job becomes a
// dead letter at once.
func Permanent(err error) error { return &permanentError{err} }

type permanentError struct{ err error }

func (p *permanentError) Error() string { return p.err.Error() }
func (p *permanentError) Unwrap() error { return p.err }

// delay is how long a job waits that failed for the nth time. That it is random
// over the whole time keeps jobs that failed together from failing together
// again.
func (r *Runner) delay(n int) time.Duration {
	most := r.opts.MaxBackoff
	if shift := max(n-1, 0); shift < 30 && r.opts.Backoff<<shift < most {
		most = r.opts.Backoff << shift
	}
	return rand.N(most) + 1
}
