package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client/contexts"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/config"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
)

// settings are the global flags that can also come from the environment and from files.
var settings = []config.Setting{
	{Name: "dir", Help: "directory of the store"},
	{Name: "addr", Help: "host:port of a node, or several separated by commas"},
	{Name: "certs-dir", Help: "directory of the certificates (default: the context's)"},
	{Name: "user", Default: contexts.DefaultUser, Help: "whose client certificate to use: client.USER.crt in --certs-dir", Check: checkUser},
	{Name: "account", Help: "account of a bucket that is given by its name (default: default)", Check: checkAccount},
	{Name: "bucket", Default: "1", Help: "bucket number; at a node its name or ACCOUNT/NAME too", Check: checkBucket},
	{Name: "shard", Default: "1001", Help: "shard number, from 1001", Check: userShard},
	{Name: "output", Help: "table, json, jsonl, yaml or raw (default: table on a terminal, else what pipes well)", Check: checkOutput},
	{Name: "timeout", Default: "0s", Help: "give up after this time (0s: never)", Check: checkDuration},
	{Name: "quiet", Default: "false", Help: "no notes, no progress", Check: checkBool},
	{Name: "verbose", Default: "false", Help: "log what the store does", Check: checkBool},
	{Name: "no-color", Default: "false", Help: "no colours", Check: checkBool},
	{Name: "yes", Default: "false", Help: "answer yes to every question", Check: checkBool},
	{Name: "accept-data-loss", Default: "false", Help: "open a store that lost synced writes; what is left becomes the truth", Check: checkBool},
}

// shorthands of the global flags.
var shorthands = map[string]string{"addr": "a", "bucket": "B", "output": "o", "quiet": "q", "verbose": "v"}

func positive(s string) error {
	if n, err := strconv.ParseUint(s, 10, 64); err != nil || n == 0 {
		return fmt.Errorf("%q is no number from 1", s)
	}
	return nil
}

// checkBucket takes a number or a name: names are checked by the node.
func checkBucket(s string) error {
	if s == "" || strings.Trim(s, "0123456789") == "" {
		return positive(s)
	}
	if strings.Count(s, "/") > 1 || strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") {
		return fmt.Errorf("%q is neither a number nor NAME nor ACCOUNT/NAME", s)
	}
	return nil
}

func checkAccount(s string) error {
	if strings.Contains(s, "/") {
		return fmt.Errorf("%q is no name", s)
	}
	return nil
}

// userShard refuses the shards that are reserved for the system.
func userShard(s string) error {
	if n, err := strconv.ParseUint(s, 10, 64); err != nil || n < uint64(engine.FirstUserShard) {
		return fmt.Errorf("%q is no number from %d", s, engine.FirstUserShard)
	}
	return nil
}

func checkUser(s string) error {
	if s == "" || strings.ContainsAny(s, "/\\") || strings.HasPrefix(s, ".") {
		return fmt.Errorf("%q is no name", s)
	}
	return nil
}

func checkOutput(s string) error {
	_, err := output.ParseFormat(s)
	return err
}

func checkDuration(s string) error {
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = errors.New("a negative time")
	}
	return err
}

func checkBool(s string) error {
	if s != "true" && s != "false" {
		return fmt.Errorf("%q is neither true nor false", s)
	}
	return nil
}

// declareSettings adds the global flags to the root command. Their values are read through the
// configuration only, so that a flag's default never hides a variable.
func declareSettings(root *cobra.Command) {
	fs := root.PersistentFlags()
	for _, s := range settings {
		usage := s.Help + " [" + s.Env() + "]"
		if s.Default == "false" {
			fs.BoolP(s.Name, shorthands[s.Name], false, usage)
			continue
		}
		fs.StringP(s.Name, shorthands[s.Name], s.Default, usage)
	}
	fs.String("config", "", "settings file [PLEIADES_CONFIG]")
	fs.String("context", "", "name of a context (default: the current one) [PLEIADES_CONTEXT]")
}

// resolve reads the settings for cmd.
func (a *App) resolve(cmd *cobra.Command) error {
	src, err := a.sources(cmd)
	if err != nil {
		return err
	}
	a.cfg, err = config.Resolve(settings, src)
	return err
}

// sources are the places where cmd's settings come from. A context that is named has to be there; the current one has
// to be readable if there is one.
func (a *App) sources(cmd *cobra.Command) (config.Sources, error) {
	given := givenFlag(cmd)
	named := func(name, env string) string {
		if v, ok := given(name); ok {
			return v
		}
		v, _ := a.Env(env)
		return v
	}
	src := config.Sources{Flag: given, Env: a.Env, Others: names(withoutGlobal(nodeSettings()))}
	if path := named("config", "PLEIADES_CONFIG"); path != "" {
		src.Files = append(src.Files, config.File{Path: path})
	}
	if name := named("context", "PLEIADES_CONTEXT"); name != "" {
		if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
			return src, exit.New(exit.Usage, "give the name only, without a path and .toml", "%w: context %q", base.ErrInvalid, name)
		}
		src.Files = append(src.Files, config.File{Path: contexts.Path(a.ConfigHome, name), Context: true})
	} else if a.ConfigHome != "" {
		current, err := contexts.Current(a.ConfigHome)
		if err != nil {
			return src, exit.WithFix(err, "name a context with --context, or remove the file")
		}
		if current != "" {
			src.Files = append(src.Files, config.File{Path: contexts.Path(a.ConfigHome, current), Optional: true, Context: true})
		}
	}
	if a.SystemFile != "" {
		src.Files = append(src.Files, config.File{Path: a.SystemFile, Optional: true})
	}
	return src, nil
}

// givenFlag returns the flags that were given to cmd.
func givenFlag(cmd *cobra.Command) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		f := cmd.Flags().Lookup(name)
		if f == nil || !f.Changed {
			return "", false
		}
		return f.Value.String(), true
	}
}

func (a *App) text(name string) string {
	if a.cfg == nil {
		return ""
	}
	return a.cfg.Get(name).Text
}

func (a *App) flag(name string) bool { return a.text(name) == "true" }

func (a *App) number(name string) uint64 {
	n, _ := strconv.ParseUint(a.text(name), 10, 64) // checked when it was resolved
	return n
}

func (a *App) bucketID() keys.BucketID { return keys.BucketID(a.number("bucket")) }

func (a *App) shardID() engine.ShardID { return engine.ShardID(a.number("shard")) }

func (a *App) timeout() time.Duration {
	d, _ := time.ParseDuration(a.text("timeout")) // checked when it was resolved
	return d
}
