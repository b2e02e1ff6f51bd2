package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/progress"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/record"
	"github.com/shieldmaidens/pleiades/internal/dump"
)

// shownErrors is how many bad records are written to standard error one by one.
const shownErrors = 20

// loader is one run of kv load.
type loader struct {
	a      *App
	s      *session
	f      *loadFlags
	in     *loadInput
	src    record.Source
	format record.Format
	bar    *progress.Bar

	key      []byte   // of the progress record
	digest   digester // of the records that were consumed: committed, unchanged or refused
	batch    loadBatch
	restorer *dump.Restorer // of a dump
	remember bool           // a progress record lies in the store

	loaded, unchanged, resumed int64
	older                      int64 // of a dump: versions older than what their key has
	bad                        badLines
}

// load runs kv load.
func (a *App) load(ctx context.Context, arg string, f *loadFlags) (err error) {
	in, err := a.openInput(ctx, arg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	l := &loader{a: a, f: f, in: in}
	start := a.now()
	// An input that cannot be loaded at all must not leave an empty store behind.
	if err := l.source(); err != nil {
		return inputFix(err)
	}
	node, err := a.node()
	if err != nil {
		return err
	}
	if node {
		return a.loadAtNode(ctx, l, start)
	}
	return a.withDirectory(ctx, write, func(s *session) error {
		l.s = s
		if err := l.open(ctx); err != nil {
			return inputFix(err)
		}
		if err := l.beginRestore(ctx); err != nil {
			return inputFix(err)
		}
		l.bar = a.bar("loading", in.size, "B")
		err := l.run(ctx)
		l.bar.Clear()
		return errors.Join(l.report(a.now().Sub(start)), err)
	})
}

// open brings the source behind the records that an earlier run has read.
func (l *loader) open(ctx context.Context) error {
	l.key = l.a.progressKey(l.in.name, l.format, l.f)
	p, err := l.a.readProgress(l.s.eng, l.key)
	if err != nil {
		return err
	}
	l.remember = p != nil
	if p == nil || l.f.noResume {
		return l.in.settle()
	}
	same, err := l.skip(ctx, p)
	if err != nil {
		return err
	}
	if same {
		l.resumed = int64(p.records)
		l.a.note("going on behind %d records that an earlier run read (--no-resume starts over)", p.records)
		return l.in.settle()
	}
	l.a.note("an earlier run loaded something else under this name: starting from the beginning")
	l.bad, l.digest = badLines{}, digester{}
	if err := l.in.rewind(); err != nil {
		return err
	}
	return l.source()
}

// source opens the source at the start of the input.
func (l *loader) source() (err error) {
	if l.src == nil {
		if err := l.in.keep(); err != nil {
			return err
		}
	}
	l.src, l.format, err = record.Open(l.in, record.Options{
		Format: record.Format(l.f.format), Key: l.f.template, ValueField: l.f.valueField, MaxBytes: l.f.maxBytes,
	})
	return err
}

// skip reads the records that p counts and reports whether they are the same.
func (l *loader) skip(ctx context.Context, p *loadProgress) (same bool, err error) {
	bar := l.a.bar("comparing", int64(p.records), "records")
	defer bar.Clear()
	for l.digest.n < p.records {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		bar.Set(int64(l.digest.n), "")
		r, err := l.src.Next()
		var bad *record.Bad
		switch {
		case errors.As(err, &bad):
			l.bad.add(bad.Line)
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return false, err
		case err != nil:
			return false, nil // shorter, or damaged: whatever it is, the reading from the start tells
		default:
			l.digest.add(r.Key, r.Value, r.Version)
		}
	}
	return l.digest.sum == p.digest, nil
}

// run loads the rest of the source. What was collected is committed whatever ends the loop.
func (l *loader) run(ctx context.Context) error {
	for {
		err := ctx.Err()
		var r record.Record
		if err == nil {
			r, err = l.src.Next()
		}
		var bad *record.Bad
		switch {
		case err == nil:
			l.batch.add(r)
		case errors.As(err, &bad):
			l.batch.addBad(bad) // so that it is reported in its place
		case errors.Is(err, io.EOF):
			return l.flush(ctx, true)
		default:
			return errors.Join(inputFix(err), l.flush(ctx, false))
		}
		if l.batch.full(l.f.batch) || bad != nil && l.f.onError == "stop" {
			if err := l.flush(ctx, false); err != nil {
				return err
			}
		}
		l.bar.Set(l.in.read, fmt.Sprintf("%d records", l.digest.n+uint64(len(l.batch.items))))
	}
}

// badRecord notes a bad record and returns the error that ends the load, if it does.
func (l *loader) badRecord(bad *record.Bad) error {
	l.bad.add(bad.Line)
	if l.f.onError == "stop" {
		fix := "correct it and run the same command again: it goes on where it stopped; or leave bad records out: --on-error skip"
		if l.s != nil && l.s.remote != nil { // a node keeps no note of how far it came
			fix = "correct it and run the same command again with --skip-unchanged; or leave bad records out: --on-error skip"
		}
		if bad.Line == 1 && strings.Contains(bad.Error(), `no field "key"`) && l.f.key == "" && l.f.keyField == "" {
			fix = "say what makes the key: --key-field NAME or --key 'user/{NAME}'; the value is then the whole line, or --value-field NAME"
		}
		return exit.New(exit.Failure, fix, "%w", bad)
	}
	if n := l.bad.count; n <= shownErrors {
		l.bar.Clear()
		l.a.note("bad: %s", oneLine(bad.Error()))
		if n == shownErrors {
			l.a.note("bad: further ones are only counted")
		}
	}
	if l.f.maxErrors > 0 && l.bad.count >= int64(l.f.maxErrors) {
		return exit.New(exit.Failure, "check the input, or allow more: --max-errors N", "%w: %d bad records, the last in %w", base.ErrInvalid, l.bad.count, bad)
	}
	return nil
}

// inputFix adds the way out of what reading an input can meet.
func inputFix(err error) error {
	if errors.Is(err, base.ErrCorruption) || errors.Is(err, io.ErrUnexpectedEOF) {
		return exit.WithFix(err, "the input is damaged: take the dump again; what was read in front of the damage is loaded")
	}
	return err
}

// report prints what was done.
func (l *loader) report(took time.Duration) error {
	p := l.a.out()
	if !p.Structured() {
		line := fmt.Sprintf("loaded %d, unchanged %d, bad %d", l.loaded, l.unchanged, l.bad.count)
		if l.bad.count > 0 {
			line += " (" + l.bad.String() + ")"
		}
		if l.resumed > 0 {
			line += fmt.Sprintf(", read by an earlier run %d", l.resumed)
		}
		if l.older > 0 {
			line += fmt.Sprintf(", older than what is there %d", l.older)
		}
		return p.Line(line)
	}
	return p.Object(output.Row{
		output.F("format", string(l.format)), output.F("loaded", l.loaded), output.F("unchanged", l.unchanged), output.F("bad", l.bad.count),
		output.F("bad_lines", l.bad.first), output.F("earlier_run", l.resumed), output.F("older", l.older),
		output.F("seconds", float64(took.Milliseconds())/1000),
	})
}
