package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/wreg-project/wreg/internal/obs"
	"github.com/wreg-project/wreg/storage/meta"
)

// aotMetrics adds what the queue of native code is watched by. Targets are among
// the few that package variant knows.
func (s *server) aotMetrics(m *obs.Metrics) {
	var (
		mu   sync.Mutex
		last []meta.AOTCount
		at   time.Time
	)
	counts := func() []meta.AOTCount {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(at) < 100*time.Millisecond {
			return last // two metrics of one scrape share a count
		}
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		all, err := s.stores.meta.AOTCounts(ctx, 0)
		if err != nil {
			s.log.Warn("jobs of native code not counted", slog.Any("err", err))
		}
		last, at = all, time.Now()
		return last
	}
	m.Gauges("wreg_aot_jobs", "Native code to be made, by target and state; of all servers over this database.", []string{"target", "state"},
		func() (list []obs.Sample) {
			for _, c := range counts() {
				list = append(list, obs.Sample{Labels: []string{c.Target, "queued"}, Value: float64(c.Queued)},
					obs.Sample{Labels: []string{c.Target, "leased"}, Value: float64(c.Leased)},
					obs.Sample{Labels: []string{c.Target, "failed"}, Value: float64(c.Failed)})
			}
			return list
		})
	m.Gauges("wreg_aot_oldest_seconds", "Time since the native code that waits longest was asked for.", []string{"target"},
		func() (list []obs.Sample) {
			for _, c := range counts() {
				if !c.Oldest.IsZero() {
					list = append(list, obs.Sample{Labels: []string{c.Target}, Value: max(time.Since(c.Oldest).Seconds(), 0)})
				}
			}
			return list
		})
	m.Counters("wreg_aot_results_total", "What became of jobs that workers had leased from this server.", []string{"outcome"},
		func() []obs.Sample {
			r := s.ingest.AOTResults()
			return []obs.Sample{
				{Labels: []string{"done"}, Value: float64(r.Done)},
				{Labels: []string{"refused"}, Value: float64(r.Refused)},
				{Labels: []string{"retried"}, Value: float64(r.Retried)},
				{Labels: []string{"failed"}, Value: float64(r.Failed)},
				{Labels: []string{"expired"}, Value: float64(r.Expired)},
			}
		})
}
