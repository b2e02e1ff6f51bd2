package kvstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
)

// Log brings commands into one order and has a machine apply them. The log of this package is a queue in memory over one
// engine; replication puts a group of nodes in its place.
type Log interface {
	// Propose returns what came of cmd, once that is durable. cmd and what it points to stay the caller's and must not
	// change until Propose returns. ctx counts until the command has its place in the order.
	//
	// A refused command is no error of Propose: Result.Err says so. Errors: ErrOverloaded, ErrClosed, engine.ErrNotWritten
	// and engine.ErrDiskFull say that nothing was written; engine.ErrUnknownOutcome that nobody knows.
	Propose(ctx context.Context, cmd *kvstorev1.Command) (Result, error)
}

const (
	// groupCommands and groupBytes bound the commands of one engine batch.
	groupCommands = 1024
	groupBytes    = 4 << 20
	// commandBytes is what a command counts for besides its keys and values.
	commandBytes = 256
)

// sequencer is the log of one shard. It has no goroutine: who proposes when nobody else does applies and commits by
// itself, together with whatever has come to wait meanwhile, and then hands the lead on.
//
//	Propose ─► queue ─► [ take · apply · commit ] ─► answers
//	              ▲             the leader's goroutine   │
//	              └── next leader: who waits longest ◄───┘
type sequencer struct {
	eng     *engine.Engine
	clock   *hlc.Clock
	machine *Machine
	limits  *Options

	mu struct {
		sync.Mutex
		queue   []*proposal
		bytes   int64
		leading bool
		closed  bool
		idle    chan struct{} // closed once closed and nobody leads
	}

	// Of the leader.
	group   []*proposal
	cmds    []*kvstorev1.Command
	stamps  []hlc.Timestamp
	results []Result
	batch   *engine.Batch
	company bool // the last group had more than one command

	stats sequencerStats

	// For tests: afterCommit is called behind each commit, record with each command that a batch took.
	afterCommit func()
	record      func(cmd *kvstorev1.Command, ts hlc.Timestamp)
}

var _ Log = (*sequencer)(nil)

// proposal is one command on its way.
type proposal struct {
	cmd    *kvstorev1.Command
	size   int64
	result Result
	err    error
	// wake gets one message when the proposal was answered, or is to lead.
	wake chan wakeup
}

type wakeup uint8

const (
	wakeDone wakeup = 1
	wakeLead wakeup = 2
)

var proposals = sync.Pool{New: func() any { return &proposal{wake: make(chan wakeup, 1)} }}

func newSequencer(eng *engine.Engine, clock *hlc.Clock, machine *Machine, limits *Options) *sequencer {
	s := &sequencer{eng: eng, clock: clock, machine: machine, limits: limits}
	s.mu.idle = make(chan struct{})
	return s
}

// Propose is Log.Propose.
func (s *sequencer) Propose(ctx context.Context, cmd *kvstorev1.Command) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("%w: %w", engine.ErrNotWritten, err)
	}
	p := proposals.Get().(*proposal)
	p.cmd, p.size, p.result, p.err = cmd, sizeOf(cmd), Result{}, nil
	lead, err := s.enqueue(p)
	if err == nil && !lead {
		err = s.wait(ctx, p)
	} else if err == nil {
		s.lead(p)
	}
	r := p.result
	if err == nil {
		err = p.err
	}
	p.cmd, p.result, p.err = nil, Result{}, nil
	proposals.Put(p)
	return r, err
}

// enqueue puts p at the end of the queue, and reports whether its goroutine has to lead.
func (s *sequencer) enqueue(p *proposal) (lead bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.closed:
		return false, fmt.Errorf("%w: %w", engine.ErrNotWritten, ErrClosed)
	case len(s.mu.queue) >= s.limits.QueueCommands || s.mu.bytes+p.size > s.limits.QueueBytes && len(s.mu.queue) > 0:
		s.stats.overloaded.Add(1)
		return false, fmt.Errorf("%w: %d writes of %d bytes wait", ErrOverloaded, len(s.mu.queue), s.mu.bytes)
	}
	s.mu.queue = append(s.mu.queue, p)
	s.mu.bytes += p.size
	lead = !s.mu.leading
	s.mu.leading = true
	return lead, nil
}

// wait returns when p was answered, or has left the queue because ctx ended.
func (s *sequencer) wait(ctx context.Context, p *proposal) error {
	var why wakeup
	select {
	case why = <-p.wake:
	case <-ctx.Done():
		s.mu.Lock()
		i := slices.Index(s.mu.queue, p)
		if i > 0 || i == 0 && len(p.wake) == 0 { // not told to lead
			s.mu.queue = slices.Delete(s.mu.queue, i, i+1)
			s.mu.bytes -= p.size
			s.mu.Unlock()
			return fmt.Errorf("%w: %w", engine.ErrNotWritten, ctx.Err())
		}
		s.mu.Unlock()
		why = <-p.wake
	}
	if why == wakeLead {
		s.lead(p)
	}
	return nil
}

// lead does what is in the queue, of which own is the first, and then makes the next in it the leader.
func (s *sequencer) lead(own *proposal) {
	if s.company {
		runtime.Gosched() // who was just answered comes back with its next write
	}
	s.take()
	s.company = len(s.group) > 1
	s.commit(s.group)
	for i, p := range s.group {
		s.group[i] = nil
		if p != own {
			p.wake <- wakeDone
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.queue) > 0 {
		s.mu.queue[0].wake <- wakeLead
		return
	}
	s.mu.leading = false
	if s.mu.closed {
		close(s.mu.idle)
	}
}

// take moves commands from the queue into the group.
func (s *sequencer) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, int64(0)
	for n < len(s.mu.queue) && n < groupCommands && (n == 0 || size+s.mu.queue[n].size <= groupBytes) {
		size += s.mu.queue[n].size
		n++
	}
	s.group = append(s.group[:0], s.mu.queue[:n]...)
	s.mu.queue = slices.Delete(s.mu.queue, 0, n)
	s.mu.bytes -= size
}

// commit applies a group in as many batches as it takes, and fills in what came of each proposal.
func (s *sequencer) commit(group []*proposal) {
	for len(group) > 0 {
		n, err := s.batchOf(group)
		if err == nil {
			group = group[n:]
			continue
		}
		s.machine.Discard()
		if errors.Is(err, engine.ErrDiskFull) && len(group) > 1 {
			s.reclaim(group, err)
			return
		}
		for _, p := range group {
			p.err = err
		}
		return
	}
}

// reclaim does by themselves those of a group that free space, when the disk is too full for the others.
func (s *sequencer) reclaim(group []*proposal, full error) {
	for i, p := range group {
		if !frees(p.cmd) {
			p.err = full
			continue
		}
		if _, err := s.batchOf(group[i : i+1]); err != nil {
			s.machine.Discard()
			p.err = err
		}
	}
}

// batchOf applies the first proposals of a group, as many as fit into a batch, and commits them.
func (s *sequencer) batchOf(group []*proposal) (n int, err error) {
	s.cmds, s.stamps = s.cmds[:0], s.stamps[:0]
	mode := engine.Sync | engine.Reclaim
	for _, p := range group {
		ts, err := s.clock.Now()
		if err != nil {
			return 0, err
		}
		s.cmds, s.stamps = append(s.cmds, p.cmd), append(s.stamps, ts)
	}
	defer func() { clear(s.cmds) }()
	if s.batch == nil {
		s.batch = s.eng.NewBatch()
	}
	defer s.endBatch()
	results, err := s.machine.applyInto(s.results[:0], s.batch, s.cmds, s.stamps)
	if err != nil {
		return 0, err
	}
	s.results = results
	defer clear(results)
	n = len(results)
	if n == 0 {
		return 0, fmt.Errorf("%w: the machine did nothing of %d commands", ErrCommand, len(group))
	}
	for _, cmd := range s.cmds[:n] {
		if !frees(cmd) {
			mode &^= engine.Reclaim
			break
		}
	}
	if s.stamps[n-1].Less(s.machine.Time()) {
		if _, err := s.clock.Update(s.machine.Time()); err != nil {
			return 0, err
		}
	}
	if !s.machine.idle {
		if err := s.eng.Commit(context.Background(), s.batch, mode); err != nil {
			return 0, err
		}
	}
	s.machine.Committed()
	s.tell(n)
	for i := range results {
		group[i].result = results[i]
	}
	s.stats.groups.Add(1)
	s.stats.commands.Add(uint64(n))
	return n, nil
}

// tell calls the hooks of tests.
func (s *sequencer) tell(n int) {
	if s.record != nil {
		for i := range n {
			s.record(s.cmds[i], s.stamps[i])
		}
	}
	if s.afterCommit != nil {
		s.afterCommit()
	}
}

// endBatch gives back what the batch holds: a shard must not wait for a writer that is idle.
func (s *sequencer) endBatch() {
	const keep = 1 << 20
	if s.batch.Len() > keep {
		s.batch.Close()
		s.batch = nil
		return
	}
	s.batch.Reset()
}

// close refuses new commands and returns when those that were taken are done.
func (s *sequencer) close() {
	s.mu.Lock()
	if !s.mu.closed {
		s.mu.closed = true
		if !s.mu.leading {
			close(s.mu.idle)
		}
	}
	s.mu.Unlock()
	<-s.mu.idle
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.batch != nil {
		s.batch.Close()
		s.batch = nil
	}
}

// sizeOf is about how much memory a command's keys and values take.
func sizeOf(cmd *kvstorev1.Command) int64 {
	switch {
	case cmd.Put != nil:
		return int64(commandBytes + len(cmd.Put.Key) + len(cmd.Put.Value))
	case cmd.Batch != nil:
		n := int64(commandBytes)
		for _, o := range cmd.Batch.Operations {
			n += commandBytes + int64(len(o.GetPut().GetKey())+len(o.GetPut().GetValue()))
		}
		return n
	}
	return commandBytes
}
