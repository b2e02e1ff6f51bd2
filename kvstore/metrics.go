package kvstore

import "sync/atomic"

// machineStats counts what came of commands.
type machineStats struct {
	refused, repeated, faults atomic.Uint64
}

func (m *machineStats) count(r *Result) {
	switch {
	case r.Repeated:
		m.repeated.Add(1)
	case r.Fault:
		m.faults.Add(1)
	case r.Err != nil:
		m.refused.Add(1)
	}
}

// sequencerStats counts what a sequencer did.
type sequencerStats struct {
	commands, groups, overloaded atomic.Uint64
}

// ShardMetrics counts what one shard's log did since the store was opened; a snapshot.
type ShardMetrics struct {
	// Commands were done in Groups of one commit each. Of them Refused changed nothing, Repeated had been done before by
	// the same session, and Faults met damage.
	Commands, Groups, Refused, Repeated, Faults uint64
	// Overloaded were turned away because the queue was full; QueueCommands and QueueBytes wait now.
	Overloaded    uint64
	QueueCommands int
	QueueBytes    int64
}

// Metrics counts what a store did since it was opened; a snapshot.
type Metrics struct {
	Catalog, Data ShardMetrics
	// Accounts and Buckets are how many there are; Removing how many are being removed.
	Accounts, Buckets, Removing int
}

// Metrics returns the store's counters.
func (s *Store) Metrics() Metrics {
	c := &s.catalog.published
	c.RLock()
	m := Metrics{Accounts: len(c.accounts), Buckets: len(c.buckets)}
	c.RUnlock()
	m.Catalog, m.Data = s.catalogLog.metrics(), s.dataLog.metrics()
	m.Removing = s.removals.count()
	return m
}

func (s *sequencer) metrics() ShardMetrics {
	m := ShardMetrics{
		Commands: s.stats.commands.Load(), Groups: s.stats.groups.Load(), Overloaded: s.stats.overloaded.Load(),
		Refused: s.machine.stats.refused.Load(), Repeated: s.machine.stats.repeated.Load(), Faults: s.machine.stats.faults.Load(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.QueueCommands, m.QueueBytes = len(s.mu.queue), s.mu.bytes
	return m
}
