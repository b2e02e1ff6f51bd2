package node

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// bounds are the upper bounds of the latency histogram, in seconds: 25 µs to 10 s.
var bounds = [...]float64{25e-6, 100e-6, 250e-6, 1e-3, 2.5e-3, 10e-3, 25e-3, 100e-3, 250e-3, 1, 2.5, 10}

// instrumented counts and times the requests of one service.
type instrumented struct {
	service string
	inner   pwp.Handler
	method  func(wire.MessageType) string
	known   func(wire.MessageType) bool
	// types has a row for each message type; requests of unknown types are counted in row 0.
	types [256]methodCounts
}

// methodCounts are the counters of one method. Each counts alone: a reader may see one request in some and not in others.
type methodCounts struct {
	running atomic.Int64
	ok      atomic.Uint64
	// refused requests got an error that says what the caller can do; failed ones an internal one or corruption.
	refused, failed atomic.Uint64
	nanos           atomic.Uint64
	buckets         [len(bounds)]atomic.Uint64 // not cumulative
}

var _ pwp.Handler = (*instrumented)(nil)

func instrument(service string, inner pwp.Handler, method func(wire.MessageType) string, known func(wire.MessageType) bool) *instrumented {
	return &instrumented{service: service, inner: inner, method: method, known: known}
}

// ServePWP calls the service's own handler.
func (i *instrumented) ServePWP(r *pwp.Request) error {
	t := r.Type()
	if !i.known(t) {
		t = 0
	}
	c := &i.types[t]
	c.running.Add(1)
	from := time.Now()
	done := false
	defer func() {
		if !done { // a panic, which the server turns into an error
			c.running.Add(-1)
			c.failed.Add(1)
		}
	}()
	err := i.inner.ServePWP(r)
	done = true
	c.observe(time.Since(from), err)
	return err
}

func (c *methodCounts) observe(took time.Duration, err error) {
	c.running.Add(-1)
	switch {
	case err == nil:
		c.ok.Add(1)
	case wire.CodeOf(err) == wire.CodeInternal || wire.CodeOf(err) == wire.CodeCorruption || errors.Is(err, context.DeadlineExceeded):
		c.failed.Add(1)
	default:
		c.refused.Add(1)
	}
	c.nanos.Add(uint64(took))
	seconds := took.Seconds()
	for b, bound := range bounds {
		if seconds <= bound {
			c.buckets[b].Add(1)
			return
		}
	}
}

var (
	requestsDesc = prometheus.NewDesc("pleiades_requests_total", "Requests that were answered, by outcome.", []string{"service", "method", "outcome"}, nil)
	runningDesc  = prometheus.NewDesc("pleiades_requests_running", "Requests that are being served.", []string{"service", "method"}, nil)
	latencyDesc  = prometheus.NewDesc("pleiades_request_seconds", "Time from a request's last byte to its handler's end.", []string{"service", "method"}, nil)
)

func (i *instrumented) collect(ch chan<- prometheus.Metric) {
	for t := range i.types {
		name := i.method(wire.MessageType(t))
		if t == 0 {
			name = "unknown"
		}
		c := &i.types[t]
		ok, refused, failed := c.ok.Load(), c.refused.Load(), c.failed.Load()
		if ok+refused+failed == 0 && c.running.Load() == 0 {
			continue
		}
		for outcome, v := range map[string]uint64{"ok": ok, "refused": refused, "failed": failed} {
			ch <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue, float64(v), i.service, name, outcome)
		}
		ch <- prometheus.MustNewConstMetric(runningDesc, prometheus.GaugeValue, float64(c.running.Load()), i.service, name)
		buckets := make(map[float64]uint64, len(bounds))
		var sum uint64
		for b, bound := range bounds {
			sum += c.buckets[b].Load()
			buckets[bound] = sum
		}
		ch <- prometheus.MustNewConstHistogram(latencyDesc, max(sum, ok+refused+failed), time.Duration(c.nanos.Load()).Seconds(), buckets, i.service, name)
	}
}
