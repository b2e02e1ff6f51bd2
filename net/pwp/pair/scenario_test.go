package pair_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// TestScenarios runs testdata/scenarios: conversations between two machines, and between one and hostile bytes.
//
//	new [stream=4] [max-message=] [max-requests=] [version=] [min-version=]
//	client | server       one operation a line; what it queues is shown and put on the way
//	deliver [chunk=n]     lets everything arrive, seen in pieces of n bytes
//	recv to=client|server [setup]   hostile bytes in hex instead of the peer's
//	end to=… | reset to=… the peer finishes or cuts its half
//	state                 both machines
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		h := newHarness(config())
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				h = newHarness(scanConfig(t, d))
			case "client", "server":
				e := h.client
				if d.Cmd == "server" {
					e = h.server
				}
				for line := range strings.Lines(d.Input) {
					if err := operate(t, e, strings.Fields(line)); err != nil {
						fmt.Fprintf(&h.log, "%s: %s\n", strings.TrimSpace(line), err)
					}
					h.flush(e)
				}
			case "deliver":
				chunk := 1 << 20
				d.MaybeScanArgs(t, "chunk", &chunk)
				h.settle(chunk)
			case "recv":
				e := h.scanEnd(t, d)
				if d.HasArg("setup") {
					e.setup = append(e.setup, unhex(t, d.Input)...)
				} else {
					e.main = append(e.main, unhex(t, d.Input)...)
				}
				for h.step(e, 1<<20) {
				}
				h.flush(e)
			case "end":
				e := h.scanEnd(t, d)
				e.finished = true
				for h.step(e, 1<<20) {
				}
				h.flush(e)
			case "reset":
				e := h.scanEnd(t, d)
				h.note(e, e.m.Reset(wire.CloseShutdown), nil)
				h.flush(e)
			case "state":
				for _, e := range []*end{h.client, h.server} {
					in, out := e.m.Messages()
					fmt.Fprintf(&h.log, "%s: %v, %v, version %d, in flight %d, messages in %d out %d\n", e.name, e.m.State(),
						e.m.Service(), e.m.Version(), e.m.InFlight(), in, out)
				}
			case "bytes":
				fmt.Fprintf(&h.log, "client %d, server %d, together %d\n", h.bytes[0], h.bytes[1], h.bytes[0]+h.bytes[1])
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			return h.takeLog()
		})
	})
}

// config has a service for each of the five answers.
func config() pair.Config {
	failure := &wire.Error{Code: wire.CodeUnavailable, Text: "loading", RetryAfter: time.Second}
	return pair.Config{
		Stream: 4,
		Service: func(s wire.Service) (wire.ServiceCode, *wire.Error) {
			switch s {
			case wire.ServiceKVStore:
				return wire.ServiceReady, nil
			case wire.ServiceGossip:
				return wire.ServiceRetry, nil
			case wire.ServiceRaft:
				return wire.ServiceRetryError, failure
			case wire.ServiceMessaging:
				return wire.ServiceNeverError, &wire.Error{Code: wire.CodePermission, Text: "not for you"}
			}
			return wire.ServiceNever, nil
		},
		Status: func(s wire.Service) wire.Status {
			if s == wire.ServiceKVStore {
				return wire.StatusHealthy
			}
			return wire.StatusUnhealthy
		},
	}
}

func scanConfig(t *testing.T, d *datadriven.TestData) pair.Config {
	cfg := config()
	var stream, version, minVersion int = int(cfg.Stream), 0, 0
	d.MaybeScanArgs(t, "stream", &stream)
	d.MaybeScanArgs(t, "max-message", &cfg.MaxMessageBytes)
	d.MaybeScanArgs(t, "max-requests", &cfg.MaxRequests)
	d.MaybeScanArgs(t, "version", &version)
	d.MaybeScanArgs(t, "min-version", &minVersion)
	cfg.Stream, cfg.Version, cfg.MinVersion = wire.StreamID(stream), wire.Version(version), wire.Version(minVersion)
	return cfg
}

func (h *harness) scanEnd(t *testing.T, d *datadriven.TestData) *end {
	var to string
	d.ScanArgs(t, "to", &to)
	if to == "client" {
		return h.client
	}
	return h.server
}

// words gives access to the arguments of one operation: key=value, or a word.
type words []string

func (w words) has(word string) bool {
	for _, x := range w {
		if x == word {
			return true
		}
	}
	return false
}

func (w words) str(key string) string {
	for _, x := range w {
		if v, ok := strings.CutPrefix(x, key+"="); ok {
			return v
		}
	}
	return ""
}

func (w words) num(key string) uint64 {
	n, err := strconv.ParseUint(w.str(key), 0, 64)
	if err != nil {
		return 0
	}
	return n
}

func (w words) dur(t *testing.T, key string) time.Duration {
	if w.str(key) == "" {
		return 0
	}
	d, err := time.ParseDuration(w.str(key))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func operate(t *testing.T, e *end, op words) error {
	m, args := e.m, op[1:]
	id := wire.RequestID(args.num("id"))
	switch op[0] {
	case "start":
		return m.Start(pair.Opening{CheckVersion: args.has("version"), Service: wire.Service(args.num("service"))})
	case "request":
		e.owners++
		_, err := m.Request(wire.MessageType(args.num("type")), args.dur(t, "timeout"), unhex(t, args.str("body")),
			args.has("stream"), fmt.Sprintf("call%d", e.owners))
		return err
	case "cancel":
		m.Cancel(id)
		return nil
	case "respond":
		return m.Respond(id, wire.MessageType(args.num("type")), unhex(t, args.str("body")), !args.has("more"))
	case "end":
		return m.End(id)
	case "error":
		err := errors.New("secret")
		switch {
		case args.has("not-found"):
			err = base.ErrNotFound
		case args.has("canceled"):
			err = fmt.Errorf("stopped by the client: %w", context.Canceled)
		}
		return m.RespondError(id, err)
	case "status":
		return m.RequestStatus(wire.Service(args.num("service")))
	case "test":
		return m.StartTest(wire.LatencyID(id))
	case "heartbeat":
		return m.Heartbeat()
	case "interval":
		return m.SetInterval(args.dur(t, "every"))
	case "close":
		m.Close()
		return nil
	case "drain":
		m.Drain()
		return nil
	case "fail":
		m.Fail(wire.CloseHeartbeatTimeout, errors.New("silent for 15s"))
		return nil
	}
	t.Fatalf("unknown operation %v", op)
	return nil
}
