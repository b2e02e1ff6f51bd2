package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/record"
)

// loadFlags say how an input is loaded.
type loadFlags struct {
	format, key, keyField, valueField, onError string

	batch, maxErrors, maxBytes             int
	skipUnchanged, noResume, newTimestamps bool
	template                               *record.Template
}

const loadHelp = `Load records from a file or standard input: one put a record, in batches that are each on disk or not at all.

Formats (guessed from the first line when --format is not given):
  jsonl  {"key":…,"value":…} a line; key_b64 and value_b64 hold bytes that are no text; a value that is no string is
         kept as its JSON. With --key or --key-field any object will do, and the value is the whole line.
  tsv    key, tab, value, as they stand; with --key '{1}/{3}' or --key-field 2 the value is the whole line
  deb    Debian control stanzas, as apt-cache dumpavail writes them; the key is the field Package
  dump   what kv dump wrote: all versions with their timestamps, expiries and deletions

A load can be repeated after an interruption, a crash or a bad line, with the same command: with every batch it
notes how far it came, and the next run checks that the records up to there are the same and goes on behind them.
The end result is that of one uninterrupted run. (Standard input is kept in a temporary file while it is compared.)
A load that has ended leaves no note: loading the same file again makes new versions, except with --skip-unchanged,
which puts a record only if it differs from the key's latest value.
A dump never makes a version twice, and never puts an old one on top: a version that its key has already, by
timestamp, is unchanged, and one that is older than the key's newest is left out, unless --new-timestamps makes new
ones of all. A key that does not exist gets its versions back with their numbers, and an empty bucket without
settings of its own those of the dump. A dump's versions are not cut to max_versions; later puts and vacuum do that.

The report counts: loaded; unchanged (left out because the store has them already); bad; read by an earlier run
(earlier_run: records that an interrupted load had handled, counted by it and not again); older than what is there
(older: versions of a dump left out because their key has a newer one).

A node (--addr) gets several batches at a time, no two of which hold the same key, and a node that restarts meanwhile is
waited for: nothing is lost or written twice. It keeps no note of unfinished loads: repeat one with --skip-unchanged.
Dumps are loaded into a directory.

Bad lines are reported with their numbers. Ctrl-C finishes the current batch, reports, and ends with code 130.`

func (a *App) kvLoad() *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:   "load FILE|-",
		Short: "Load records: JSON lines, TSV, Debian stanzas, or a dump",
		Long:  loadHelp,
		Example: lines(
			"pleiades kv load users.jsonl --skip-unchanged",
			"apt-cache dumpavail | pleiades kv load - --key '{Package}/{Architecture}'",
			"pleiades kv load backup.dump",
		),
		Args: cobra.ExactArgs(1),
	}
	fs := cmd.Flags()
	fs.StringVar(&f.format, "format", "", "jsonl, tsv, deb or dump (default: guess)")
	fs.StringVar(&f.key, "key", "", "make the key of fields: '{Package}/{Architecture}'")
	fs.StringVar(&f.keyField, "key-field", "", "take the key from this field; the same as --key '{FIELD}'")
	fs.StringVar(&f.valueField, "value-field", "", "take the value from this field (jsonl)")
	fs.IntVar(&f.batch, "batch", 1000, "records a batch, 1 to 100000")
	fs.StringVar(&f.onError, "on-error", "stop", "what to do at a bad record: stop or skip")
	fs.IntVar(&f.maxErrors, "max-errors", 0, "with --on-error skip, stop after this many bad records (0: never)")
	fs.IntVar(&f.maxBytes, "max-record-bytes", record.DefaultMaxBytes, "a longer line or stanza is bad")
	fs.BoolVar(&f.skipUnchanged, "skip-unchanged", false, "do not put what is the key's latest value already")
	fs.BoolVar(&f.noResume, "no-resume", false, "start over, whatever an interrupted load has done")
	fs.BoolVar(&f.newTimestamps, "new-timestamps", false, "give the versions of a dump timestamps of now")
	cmd.MarkFlagsMutuallyExclusive("key", "key-field")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		return a.load(ctx, args[0], &f)
	})
	return cmd
}

func (f *loadFlags) check() error {
	bad := func(fix, format string, args ...any) error {
		return exit.New(exit.Usage, fix, "%w: "+format, append([]any{base.ErrInvalid}, args...)...)
	}
	switch {
	case f.batch < 1 || f.batch > 100_000:
		return bad("give a number from 1 to 100000; 1000 is good", "--batch %d", f.batch)
	case f.onError != "stop" && f.onError != "skip":
		return bad("write --on-error stop or --on-error skip", "--on-error %q", f.onError)
	case f.maxErrors < 0:
		return bad("leave it out for no limit", "--max-errors %d", f.maxErrors)
	case f.maxBytes < 1:
		return bad(fmt.Sprintf("leave it out for %d", record.DefaultMaxBytes), "--max-record-bytes %d", f.maxBytes)
	}
	if f.keyField != "" {
		f.template = record.FieldTemplate(f.keyField)
	}
	if f.key != "" {
		var err error
		if f.template, err = record.ParseTemplate(f.key); err != nil {
			return err
		}
	}
	return nil
}
