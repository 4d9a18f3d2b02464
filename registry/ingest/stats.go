package ingest

import (
	"sync/atomic"
	"time"
)

// Stats counts what a Service did since it was made.
type Stats struct {
	Admitted int64 // pushes that were let through
	Refused  int64 // by a policy
	Broken   int64 // pushes refused because their Wasm is broken

	Analyses      int64 // blobs looked through
	AnalysedBytes int64
	AnalysisTime  time.Duration

	Verifications int64 // of signatures, whatever they came to; those that were remembered are not counted
}

// stats are Stats being counted.
type stats struct {
	admitted, refused, broken   atomic.Int64
	analyses, bytes, nanosecond atomic.Int64
	verifications               atomic.Int64
}

// Stats tells what was counted.
func (s *Service) Stats() Stats {
	a := &s.analyser.stats
	return Stats{
		Admitted: a.admitted.Load(), Refused: a.refused.Load(), Broken: a.broken.Load(),
		Analyses: a.analyses.Load(), AnalysedBytes: a.bytes.Load(), AnalysisTime: time.Duration(a.nanosecond.Load()),
		Verifications: a.verifications.Load(),
	}
}
