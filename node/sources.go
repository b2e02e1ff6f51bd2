package node

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	systemv1 "github.com/shieldmaidens/pleiades/api/system/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/system"
)

// sources are the answers of the system service.
func (n *Node) sources() *system.Sources {
	return &system.Sources{
		Health:   n.health,
		Node:     n.describe,
		Settings: n.listSettings,
		Limits:   n.listLimits,
		Contexts: func() (answers, asks []pwp.Context) { return n.server.Contexts(), nil },
		Metrics:  n.samples,
		Status: func() wire.Status {
			if n.State() != StateReady || n.eng.Err() != nil {
				return wire.StatusUnhealthy
			}
			return wire.StatusHealthy
		},
	}
}

func (n *Node) describe(context.Context) (*systemv1.NodeResponse, error) {
	m, err := n.eng.Metrics()
	if err != nil {
		return nil, err
	}
	free, err := diskFree(n.settings.Dir)
	if err != nil {
		return nil, err
	}
	id, now := n.certs.Identity(), time.Now()
	return &systemv1.NodeResponse{
		NodeId: n.record.node, Constellation: n.record.constellation,
		ListenAddress: n.Addr(), AdvertiseAddress: n.Advertise(), AdminAddress: n.AdminAddr(),
		Version: n.settings.Version, ProtocolVersion: uint32(wire.Version1), GoVersion: runtime.Version(),
		Rocksdb: engine.Library().Version, StartedUnixNanos: uint64(n.began.UnixNano()),
		UptimeMillis: uint64(n.uptime().Milliseconds()), ClockUnixNanos: uint64(now.UnixNano()),
		Shards: uint32(len(m.Shards)), DiskUsedBytes: m.TableBytes + m.WALBytes, DiskFreeBytes: free,
		Connections: uint32(n.endpoint.Metrics().Connections), Pairs: uint32(len(n.server.Contexts())),
		ProcessId: uint64(os.Getpid()), DataDirectory: n.settings.Dir, State: n.State().String(),
		CertificateExpiresUnixNanos: uint64(id.NotAfter.UnixNano()),
	}, nil
}

func (n *Node) listSettings() []*systemv1.Setting {
	var list []*systemv1.Setting
	for _, d := range definitions {
		origin := n.settings.Origins[d.Name]
		if origin == "" {
			origin = "default"
		}
		list = append(list, &systemv1.Setting{Name: d.Name, Value: d.get(&n.settings), Origin: origin, Help: d.Help})
	}
	return list
}

func (n *Node) listLimits() []*systemv1.Limit {
	var inFlight, pairs uint64
	perConn := map[string]uint64{}
	for _, c := range n.server.Contexts() {
		pairs++
		inFlight += uint64(c.InFlight)
		perConn[c.Peer]++
	}
	var widest uint64
	for _, count := range perConn {
		widest = max(widest, count)
	}
	list := []*systemv1.Limit{
		{Name: "connections", Value: uint64(n.settings.MaxConnections), Used: uint64(n.endpoint.Metrics().Connections)},
		{Name: "pairs of one connection", Value: uint64(n.settings.MaxPairs), Used: widest},
		{Name: "requests of one connection", Value: uint64(n.settings.MaxRequests), Used: inFlight},
		{Name: "received messages", Value: uint64(n.settings.MessageMemoryBytes), Used: uint64(n.server.MessageBytesInUse()), Unit: "bytes"},
		{Name: "one message", Value: uint64(n.settings.MaxMessageBytes), Unit: "bytes"},
	}
	if m, err := n.eng.Metrics(); err == nil {
		list = append(list,
			&systemv1.Limit{Name: "block cache", Value: m.CacheCapacityBytes, Used: m.CacheBytes, Unit: "bytes"},
			&systemv1.Limit{Name: "memtables", Value: uint64(n.settings.MemtableBytes), Used: m.MemtableBytes, Unit: "bytes"},
			&systemv1.Limit{Name: "write-ahead log", Value: uint64(n.settings.WALBytes), Used: m.WALBytes, Unit: "bytes"},
			&systemv1.Limit{Name: "batches that wait to be committed", Value: commitQueue, Used: uint64(m.Commits.Queued)})
	}
	return list
}

// commitQueue is the engine's default of Options.QueueBatches.
const commitQueue = 4096

// samples returns the metrics of the admin page whose name begins with prefix. A histogram has a sample for each bucket,
// with the label "le", and those that end in _count and _sum, as in Prometheus' text.
func (n *Node) samples(prefix string) ([]*systemv1.Sample, error) {
	families, err := n.registry.Gather()
	if err != nil {
		return nil, err
	}
	var list []*systemv1.Sample
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), prefix) {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []*systemv1.Label
			for _, l := range m.GetLabel() {
				labels = append(labels, &systemv1.Label{Name: l.GetName(), Value: l.GetValue()})
			}
			add := func(suffix string, v float64, more ...*systemv1.Label) {
				list = append(list, &systemv1.Sample{Name: f.GetName() + suffix, Labels: append(slices.Clip(labels), more...), Value: v})
			}
			switch {
			case m.GetCounter() != nil:
				add("", m.GetCounter().GetValue())
			case m.GetGauge() != nil:
				add("", m.GetGauge().GetValue())
			case m.GetHistogram() != nil:
				for _, b := range m.GetHistogram().GetBucket() {
					le := strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)
					add("_bucket", float64(b.GetCumulativeCount()), &systemv1.Label{Name: "le", Value: le})
				}
				add("_count", float64(m.GetHistogram().GetSampleCount()))
				add("_sum", m.GetHistogram().GetSampleSum())
			case m.GetSummary() != nil:
				add("_count", float64(m.GetSummary().GetSampleCount()))
				add("_sum", m.GetSummary().GetSampleSum())
			}
		}
	}
	return list, nil
}
