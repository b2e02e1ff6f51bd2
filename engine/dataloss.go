package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// What is done about a recovery that lacks synced writes: the logs are kept as they were found, the store
// stays closed until somebody accepts the loss, and then they are set aside.

// saveWAL links the write-ahead logs of dir into PLEIADES.wal before RocksDB replays and removes
// them, so that a recovery which turns out to lack synced writes has destroyed nothing. A file
// system without hard links goes without: the loss is noticed all the same.
func saveWAL(dir string) error {
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) == 0 {
		return err
	}
	saved := filepath.Join(dir, savedWALName)
	if err := os.MkdirAll(saved, 0o755); err != nil {
		return fsError("create "+savedWALName, err)
	}
	for _, log := range logs {
		// An existing link is from an opening that was cut off: it is the older, so the better copy.
		if err := os.Link(log, filepath.Join(saved, filepath.Base(log))); err != nil && !errors.Is(err, os.ErrExist) {
			return fsError("link "+log, err)
		}
	}
	return nil
}

// keepLostWAL sets the linked logs of an accepted loss aside, where later openings leave them alone.
func keepLostWAL(dir string, recovered uint64) error {
	name := filepath.Join(dir, savedWALName+".lost-"+strconv.FormatUint(recovered, 10))
	for n := 1; ; n++ {
		kept := name
		if n > 1 { // a second loss at the same place
			kept += "." + strconv.Itoa(n)
		}
		err := os.Rename(filepath.Join(dir, savedWALName), kept)
		if errors.Is(err, os.ErrExist) && n < 100 {
			continue
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fsError("rename "+savedWALName, err)
		}
		return nil
	}
}

// dropSavedWAL removes the links again.
func dropSavedWAL(dir string) error {
	if err := os.RemoveAll(filepath.Join(dir, savedWALName)); err != nil {
		return fsError("remove "+savedWALName, err)
	}
	return nil
}

// lossFileName is in PLEIADES.wal after a recovery that lacked synced writes: RocksDB has removed the
// damaged logs then, and nothing else would tell the next opening.
const lossFileName = "LOSS"

// loss is how far a recovery came, and how far it should have come, as sequence numbers.
type loss struct{ recovered, synced uint64 }

func (l loss) String() string { return fmt.Sprintf("recovered %d synced %d\n", l.recovered, l.synced) }

// findLoss judges what RocksDB recovered: latest is its last sequence number, r what the logs held. It
// returns nil when nothing that was acknowledged as synced is missing.
func (m *syncMark) findLoss(latest uint64, r recoveredChain) *loss {
	recovered := latest
	if r.broken || r.seen && m.kind == markWrite {
		// RocksDB's number may come from a table or a manifest that is ahead of the logs.
		recovered = r.last
	}
	if recovered >= m.seq {
		return nil
	}
	return &loss{recovered: recovered, synced: m.seq}
}

// earlierLoss reads what an earlier opening has found, nil when it found nothing.
func earlierLoss(dir string) (*loss, error) {
	b, err := os.ReadFile(filepath.Join(dir, savedWALName, lossFileName))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fsError("read "+lossFileName, err)
	}
	var l loss
	if _, err := fmt.Sscanf(string(b), "recovered %d synced %d", &l.recovered, &l.synced); err != nil {
		return nil, fmt.Errorf("%w: %s in %s: %w", ErrCorruption, lossFileName, savedWALName, err)
	}
	return &l, nil
}

// keep writes the loss down for the openings to come.
func (l loss) keep(dir string) error {
	saved := filepath.Join(dir, savedWALName)
	if err := os.MkdirAll(saved, 0o755); err != nil {
		return fsError("create "+savedWALName, err)
	}
	if err := writeFileSynced(saved, lossFileName, []byte(l.String())); err != nil {
		return err
	}
	return syncDir(dir)
}

// err is what Open says.
func (l loss) err(dir string) error {
	return fmt.Errorf("%w: %d of them: %s recovered up to sequence %d, but %d was acknowledged; the logs as they were found are kept in %s; restore a copy, or open with --accept-data-loss (Options.AcceptDataLoss) to go on without them",
		ErrDataLoss, l.synced-l.recovered, dir, l.recovered, l.synced, filepath.Join(dir, savedWALName))
}

// judgeRecovery compares what was recovered with what was acknowledged, and clears the links to the logs
// away when nothing is missing, or the loss is accepted.
func (e *Engine) judgeRecovery() error {
	r := e.chain.recovered()
	e.chain.last = r.last
	lost, err := earlierLoss(e.dir)
	if err != nil {
		return err
	}
	if lost == nil {
		lost = e.mark.findLoss(e.db.GetLatestSequenceNumber(), r)
	}
	switch {
	case lost == nil:
		if r.broken {
			e.log.Warn("engine: unsynced writes behind a hole in the log were left out", "dir", e.dir, "recovered", r.last, "next", r.next)
		}
		return dropSavedWAL(e.dir)
	case !e.opts.AcceptDataLoss:
		return errors.Join(lost.err(e.dir), lost.keep(e.dir))
	}
	e.log.Error("engine: going on without synced writes, as asked", "err", lost.err(e.dir))
	if err := keepLostWAL(e.dir, lost.recovered); err != nil {
		return err
	}
	return e.mark.set(lost.recovered)
}
