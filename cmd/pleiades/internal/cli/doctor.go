package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/node/doctor"
	"github.com/shieldmaidens/pleiades/versioning"
)

// nameStore is the check that the store can be opened, which package doctor leaves to its caller.
const nameStore = "store"

func (a *App) doctorCommand() *cobra.Command {
	var advertise []string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check this machine, the store's directory and the certificates",
		Long: `Check this machine (UDP buffers, open files, clock, RocksDB's build), with --dir the directory and disk of the store,
and with --certs-dir, or a directory certs in --dir, the certificates. Each check says ok, warn or fail, what was found and
what to do. The exit code is 7 when one fails; warnings alone are 0. The store is opened for a moment, unless a process
has it open; nothing is changed.`,
		Example: lines(
			"pleiades doctor",
			"pleiades doctor --dir data --certs-dir certs",
			"pleiades doctor --dir data --advertise db1.example.com -o json",
		),
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringSliceVar(&advertise, "advertise", nil, "host names and addresses by which others reach the node")
	cmd.RunE = a.run(func(context.Context, []string) error {
		return a.printDoctor(a.runDoctor(a.text("dir"), a.text("certs-dir"), advertise))
	})
	return cmd
}

// runDoctor runs all checks on the given directories; empty ones are left out.
func (a *App) runDoctor(dir, certsDir string, advertise []string) []doctor.Result {
	lib := engine.Library()
	o := doctor.Options{
		DataDir: dir, CertsDir: certsDir, Advertise: advertise, Now: a.now,
		Library: &doctor.Library{Version: lib.Version, Asserts: lib.Asserts},
	}
	if inside := filepath.Join(dir, "certs"); certsDir == "" && dir != "" {
		if _, err := os.Stat(inside); err == nil {
			o.CertsDir = inside
		}
	}
	var results []doctor.Result
	clock, err := a.storeClock(dir)
	switch {
	case errors.Is(err, engine.ErrInUse):
		results = append(results, doctor.Result{Name: nameStore, Verdict: doctor.OK, Found: "a process has it open and looks after its clock"})
	case err != nil:
		_, fix := exit.Of(withFix(err))
		results = append(results, doctor.Result{Name: nameStore, Verdict: doctor.Fail, Found: err.Error(), Fix: fix})
	default:
		o.StoreClock = clock
	}
	return append(doctor.Run(&o), results...)
}

// storeClock opens the clock of the store in dir and returns what that came to; nil when there is no store, an error when
// it cannot be opened.
func (a *App) storeClock(dir string) (func() error, error) {
	if dir == "" {
		return nil, nil
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, nil // the check of the directory says what is wrong
	}
	var clockErr error
	err := a.withEngine(read, func(eng *engine.Engine) error {
		clock, err := versioning.NewClock(eng, a.clockOptions())
		if clockErr = err; err == nil {
			clockErr = clock.Close()
		}
		return nil
	})
	if errors.Is(err, engine.ErrNoStore) {
		return nil, nil
	}
	return func() error { return clockErr }, err
}

// printDoctor prints the results, the worst last so that they are seen, and fails when a check did.
func (a *App) printDoctor(results []doctor.Result) error {
	s, err := a.out().Stream("check")
	if err != nil {
		return err
	}
	failed := 0
	for _, verdict := range []doctor.Verdict{doctor.OK, doctor.Warn, doctor.Fail} {
		for _, r := range results {
			if r.Verdict != verdict {
				continue
			}
			if verdict == doctor.Fail {
				failed++
			}
			row := output.Row{output.F("check", r.Name), output.F("verdict", r.Verdict.String()), output.F("found", r.Found), output.F("fix", textOrNil(r.Fix))}
			if err := s.Row(row); err != nil {
				return err
			}
		}
	}
	if err := s.Close(); err != nil || failed == 0 {
		return err
	}
	return exit.New(exit.CheckFailed, "the last column says what to do about each", "%d of %d checks failed", failed, len(results))
}
