package node

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
)

// newRegistry returns a registry of the node's own: nothing global, so that two nodes fit into one process.
func (n *Node) newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{node: n})
	return r
}

// collector asks every layer for its figures when somebody looks. It keeps nothing.
type collector struct{ node *Node }

var _ prometheus.Collector = (*collector)(nil)

// metric is a figure of layer T.
type metric[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) float64
}

func counter[T any](name, help string, value func(T) float64) metric[T] {
	return metric[T]{prometheus.NewDesc("pleiades_"+name, help, nil, nil), prometheus.CounterValue, value}
}

func gauge[T any](name, help string, value func(T) float64) metric[T] {
	return metric[T]{prometheus.NewDesc("pleiades_"+name, help, nil, nil), prometheus.GaugeValue, value}
}

func emit[T any](ch chan<- prometheus.Metric, list []metric[T], from T, labels ...string) {
	for _, m := range list {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(from), labels...)
	}
}

type em = *engine.Metrics

var engineMetrics = []metric[em]{
	gauge("engine_sequence", "Number of the newest record.", func(m em) float64 { return float64(m.Sequence) }),
	gauge("engine_families", "Column families.", func(m em) float64 { return float64(m.Families) }),
	gauge("engine_cache_bytes", "Block cache in use.", func(m em) float64 { return float64(m.CacheBytes) }),
	gauge("engine_cache_pinned_bytes", "Block cache that readers hold.", func(m em) float64 { return float64(m.CachePinnedBytes) }),
	gauge("engine_cache_capacity_bytes", "Size of the block cache.", func(m em) float64 { return float64(m.CacheCapacityBytes) }),
	gauge("engine_memtable_bytes", "Memory of memtables.", func(m em) float64 { return float64(m.MemtableBytes) }),
	gauge("engine_table_reader_bytes", "Memory of open tables outside the cache.", func(m em) float64 { return float64(m.TableReaderBytes) }),
	gauge("engine_wal_bytes", "Size of the write-ahead logs.", func(m em) float64 { return float64(m.WALBytes) }),
	gauge("engine_table_bytes", "Size of the tables.", func(m em) float64 { return float64(m.TableBytes) }),
	gauge("engine_pending_compaction_bytes", "What compactions still have to rewrite, an estimate.", func(m em) float64 { return float64(m.PendingCompactionBytes) }),
	gauge("engine_running_compactions", "Compactions under way.", func(m em) float64 { return float64(m.RunningCompactions) }),
	gauge("engine_running_flushes", "Flushes under way.", func(m em) float64 { return float64(m.RunningFlushes) }),
	counter("engine_flushes_total", "Flushes.", func(m em) float64 { return float64(m.Flushes) }),
	counter("engine_compactions_total", "Compactions.", func(m em) float64 { return float64(m.Compactions) }),
	counter("engine_background_errors_total", "Flushes and compactions that failed.", func(m em) float64 { return float64(m.BackgroundErrors) }),
	gauge("engine_write_stall", "What the engine does to writes: 0 nothing, 1 slows them down, 2 stops them.", func(m em) float64 { return float64(m.Stall) }),
	counter("engine_write_stall_changes_total", "Changes of that.", func(m em) float64 { return float64(m.StallChanges) }),
	gauge("engine_oldest_snapshot_seconds", "Age of the oldest open snapshot.", func(m em) float64 { return m.OldestSnapshotAge.Seconds() }),
	counter("engine_commit_groups_total", "Merged writes.", func(m em) float64 { return float64(m.Commits.Groups) }),
	counter("engine_commit_batches_total", "Batches in them.", func(m em) float64 { return float64(m.Commits.Batches) }),
	counter("engine_commit_records_total", "Records in those.", func(m em) float64 { return float64(m.Commits.Records) }),
	counter("engine_commit_bytes_total", "Bytes of those.", func(m em) float64 { return float64(m.Commits.Bytes) }),
	counter("engine_syncs_total", "Merged writes that were synced.", func(m em) float64 { return float64(m.Commits.Syncs) }),
	counter("engine_sync_seconds_total", "Time spent in them.", func(m em) float64 { return m.Commits.SyncTime.Seconds() }),
	gauge("engine_longest_sync_seconds", "The longest of them.", func(m em) float64 { return m.Commits.LongestSync.Seconds() }),
	counter("engine_commit_queue_full_total", "Commits that found the queue full.", func(m em) float64 { return float64(m.Commits.QueueFull) }),
	gauge("engine_commit_queue_batches", "Batches that wait to be committed.", func(m em) float64 { return float64(m.Commits.Queued) }),
}

type pm = endpoint.Metrics

var endpointMetrics = []metric[pm]{
	gauge("endpoint_connections", "Connections.", func(m pm) float64 { return float64(m.Connections) }),
	gauge("endpoint_handshaking", "Connections in their handshake.", func(m pm) float64 { return float64(m.Handshaking) }),
	counter("endpoint_accepted_total", "Connections of others.", func(m pm) float64 { return float64(m.Accepted) }),
	counter("endpoint_dials_total", "Connections to others that were tried.", func(m pm) float64 { return float64(m.Dials) }),
	counter("endpoint_dialled_total", "Connections to others.", func(m pm) float64 { return float64(m.Dialled) }),
	counter("endpoint_handshakes_total", "Handshakes that were completed.", func(m pm) float64 { return float64(m.Handshakes) }),
	counter("endpoint_early_accepted_total", "Connections with early data (0-RTT).", func(m pm) float64 { return float64(m.EarlyAccepted) }),
	counter("endpoint_early_rejected_total", "Connections whose early data was refused.", func(m pm) float64 { return float64(m.EarlyRejected) }),
	counter("endpoint_refused_total", "Connections refused because there were too many.", func(m pm) float64 { return float64(m.Refused) }),
	counter("endpoint_sent_bytes_total", "UDP payload sent.", func(m pm) float64 { return float64(m.BytesSent) }),
	counter("endpoint_received_bytes_total", "UDP payload received.", func(m pm) float64 { return float64(m.BytesReceived) }),
	counter("endpoint_lost_packets_total", "Packets that had to be sent again.", func(m pm) float64 { return float64(m.PacketsLost) }),
	counter("endpoint_datagrams_sent_total", "Datagrams sent.", func(m pm) float64 { return float64(m.DatagramsSent) }),
	counter("endpoint_datagrams_received_total", "Datagrams received.", func(m pm) float64 { return float64(m.DatagramsReceived) }),
	counter("endpoint_datagrams_dropped_total", "Datagrams that found no room.", func(m pm) float64 { return float64(m.DatagramsDropped) }),
}

var storeMetrics = []metric[kvstore.Metrics]{
	gauge("kvstore_accounts", "Accounts.", func(m kvstore.Metrics) float64 { return float64(m.Accounts) }),
	gauge("kvstore_buckets", "Buckets.", func(m kvstore.Metrics) float64 { return float64(m.Buckets) }),
	gauge("kvstore_removing", "Accounts and buckets that are being removed.", func(m kvstore.Metrics) float64 { return float64(m.Removing) }),
}

type sm = kvstore.ShardMetrics

// shardMetrics are those of one shard's log, with the label "shard": catalog or data.
var shardMetrics = []metric[sm]{
	perShard("kvstore_commands_total", "Writes that were done or refused.", prometheus.CounterValue, func(m sm) float64 { return float64(m.Commands) }),
	perShard("kvstore_groups_total", "Commits that they were done in.", prometheus.CounterValue, func(m sm) float64 { return float64(m.Groups) }),
	perShard("kvstore_refused_total", "Writes that changed nothing: a condition did not hold, a quota was reached.", prometheus.CounterValue, func(m sm) float64 { return float64(m.Refused) }),
	perShard("kvstore_repeated_total", "Writes that the same session had done before.", prometheus.CounterValue, func(m sm) float64 { return float64(m.Repeated) }),
	perShard("kvstore_faults_total", "Writes that met damage.", prometheus.CounterValue, func(m sm) float64 { return float64(m.Faults) }),
	perShard("kvstore_overloaded_total", "Writes that found the queue full.", prometheus.CounterValue, func(m sm) float64 { return float64(m.Overloaded) }),
	perShard("kvstore_queue_commands", "Writes that wait.", prometheus.GaugeValue, func(m sm) float64 { return float64(m.QueueCommands) }),
	perShard("kvstore_queue_bytes", "Bytes of them.", prometheus.GaugeValue, func(m sm) float64 { return float64(m.QueueBytes) }),
}

func perShard(name, help string, kind prometheus.ValueType, value func(sm) float64) metric[sm] {
	return metric[sm]{prometheus.NewDesc("pleiades_"+name, help, []string{"shard"}, nil), kind, value}
}

var nodeMetrics = []metric[*Node]{
	gauge("uptime_seconds", "Time since the start.", func(n *Node) float64 { return n.uptime().Seconds() }),
	gauge("ready", "1 while requests are taken.", func(n *Node) float64 { return truth(n.health(context.Background()).Ready) }),
	gauge("certificate_expires_seconds", "When the node's certificate ends, in seconds since 1970.", func(n *Node) float64 { return float64(n.certs.Identity().NotAfter.Unix()) }),
	gauge("engine_oldest_sync_seconds", "For how long the synced write under way has waited for the disk.", func(n *Node) float64 { return n.eng.Health().OldestSync.Seconds() }),
	gauge("disk_full", "1 while writes are refused because the disk is full.", func(n *Node) float64 { return truth(n.eng.Health().DiskFull != nil) }),
	gauge("server_message_bytes", "Received messages that are held.", func(n *Node) float64 { return float64(n.server.MessageBytesInUse()) }),
}

type pairTotals struct{ pairs, inFlight, queued float64 }

var pairMetrics = []metric[pairTotals]{
	gauge("server_pairs", "Stream pairs.", func(t pairTotals) float64 { return t.pairs }),
	gauge("server_requests_in_flight", "Requests without their last answer.", func(t pairTotals) float64 { return t.inFlight }),
	gauge("server_queued_bytes", "Answers that wait to be written.", func(t pairTotals) float64 { return t.queued }),
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func sumPairs(contexts []pwp.Context) (t pairTotals) {
	for _, c := range contexts {
		t.pairs++
		t.inFlight += float64(c.InFlight)
		t.queued += float64(c.QueuedBytes)
	}
	return t
}

var (
	buildDesc    = prometheus.NewDesc("pleiades_build_info", "1, with what the node was built of.", []string{"version", "rocksdb"}, nil)
	diskFreeDesc = prometheus.NewDesc("pleiades_disk_free_bytes", "What may still be written on the node's disk.", nil, nil)
	shardDesc    = prometheus.NewDesc("pleiades_shard_table_bytes", "Size of a shard's tables.", []string{"shard"}, nil)
	shardRows    = prometheus.NewDesc("pleiades_shard_rows", "Rows of a shard, an estimate.", []string{"shard"}, nil)
	failureDesc  = prometheus.NewDesc("pleiades_endpoint_failures_total", "Dials and handshakes that failed, by reason.", []string{"reason"}, nil)
	handlesDesc  = prometheus.NewDesc("pleiades_engine_handles", "Live objects of the engine, by kind.", []string{"kind"}, nil)
)

// Describe implements prometheus.Collector: nothing is promised, since what there is depends on use.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	n := c.node
	ch <- prometheus.MustNewConstMetric(buildDesc, prometheus.GaugeValue, 1, n.settings.Version, engine.Library().Version)
	emit(ch, nodeMetrics, n)
	emit(ch, pairMetrics, sumPairs(n.server.Contexts()))
	for _, s := range n.services {
		s.collect(ch)
	}
	store := n.store.Metrics()
	emit(ch, storeMetrics, store)
	emit(ch, shardMetrics, store.Catalog, "catalog")
	emit(ch, shardMetrics, store.Data, "data")
	e := n.endpoint.Metrics()
	emit(ch, endpointMetrics, e)
	for reason, v := range map[string]int64{
		"unreachable": e.Failures.Unreachable, "peer certificate": e.Failures.PeerCertificate,
		"own certificate": e.Failures.OwnCertificate, "protocol": e.Failures.ALPN, "refused": e.Failures.Refused, "other": e.Failures.Other,
	} {
		ch <- prometheus.MustNewConstMetric(failureDesc, prometheus.CounterValue, float64(v), reason)
	}
	if free, err := diskFree(n.settings.Dir); err == nil {
		ch <- prometheus.MustNewConstMetric(diskFreeDesc, prometheus.GaugeValue, float64(free))
	}
	m, err := n.eng.Metrics()
	if err != nil {
		return // closed: the node is stopping
	}
	emit(ch, engineMetrics, m)
	for kind, v := range m.Handles {
		ch <- prometheus.MustNewConstMetric(handlesDesc, prometheus.GaugeValue, float64(v), kind)
	}
	for i := range m.Shards {
		s := &m.Shards[i]
		id := strconv.FormatUint(uint64(s.ID), 10)
		ch <- prometheus.MustNewConstMetric(shardDesc, prometheus.GaugeValue, float64(s.TableBytes), id)
		ch <- prometheus.MustNewConstMetric(shardRows, prometheus.GaugeValue, float64(s.Rows), id)
	}
}
