package cli

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/engine"
)

// Version is the program's version; a release sets it by -ldflags "-X …cli.Version=1.2.3".
var Version = "development"

func (a *App) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the versions of the program, of Go and of RocksDB",
		Long: `Show the versions of the program, of Go and of RocksDB, and whether RocksDB was built with assertions.
Debian's package is: it checks more and is slower than a release build (make rocksdb).`,
		Example: lines("pleiades version", "pleiades version -o json", "pleiades version -o yaml"),
		Args:    cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			lib := engine.Library()
			return a.out().Object(output.Row{
				output.F("pleiades", Version),
				output.F("commit", commit()),
				output.F("go", runtime.Version()),
				output.F("platform", runtime.GOOS+"/"+runtime.GOARCH),
				output.F("rocksdb", lib.Version),
				output.F("rocksdb_assertions", lib.Asserts),
			})
		}),
	}
}

// commit is the source's commit as the Go tool recorded it, if it did.
func commit() any {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return nil
}
