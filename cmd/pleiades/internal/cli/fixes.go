package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/config"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// fixes are the ways out of errors of the layers below that mean the same wherever they come from. A command
// that knows better says so itself; what is not listed gets the advice of its marker (package exit).
var fixes = []struct {
	err error
	fix string
}{
	{keys.ErrEmptyKey, "give a key of 1 to 16384 bytes; a shell variable may be empty"},
	{keys.ErrKeyTooLong, "use a shorter key, such as a hash of it, and keep the long form in the value"},
	{versioning.ErrValueTooLarge, "store it in pieces under several keys"},
	{versioning.ErrInvalidSettings, "see: pleiades bucket set --help"},
	{versioning.ErrMissingRecord, "run: pleiades check"},
	{vacuum.ErrInvalidPolicy, "say what stays: --keep-newest N, --older-than 30d, or both"},
	{hlc.ErrClockJump, "set this machine's clock right and run the command again"},
	{engine.ErrShardNotFound, "pleiades shard list shows the shards; the first write to one makes it"},
	{engine.ErrShardExists, "choose another number, or remove it first: pleiades shard drop N"},
	{engine.ErrTooManyShards, "remove shards that are not needed: pleiades shard list, pleiades shard drop N"},
	{endpoint.ErrAddress, "write --addr HOST:PORT, as in 127.0.0.1:7420"},
	{engine.ErrBatchTooLarge, "use a smaller --batch, or values in smaller pieces"},
}

// withFix adds the way out to an error that has none of its own.
func withFix(err error) error {
	var typed *exit.Error
	if errors.As(err, &typed) && typed.Fix != "" {
		return err
	}
	var cert *certs.Error
	if errors.As(err, &cert) {
		return certError(err)
	}
	for _, f := range fixes {
		if errors.Is(err, f.err) {
			return exit.WithFix(err, f.fix)
		}
	}
	return err
}

// usageText is cobra's message about a command line, in plainer words where it needs them.
func usageText(message string) string {
	if rest, ok := strings.CutPrefix(message, "if any flags in the group ["); ok {
		if group, _, ok := strings.Cut(rest, "]"); ok {
			return "only one of --" + strings.ReplaceAll(group, " ", ", --") + " can be given"
		}
	}
	if what, cause, ok := strings.Cut(message, ": strconv."); ok {
		switch {
		case strings.HasSuffix(cause, "value out of range"):
			return what + ": out of range"
		case strings.HasPrefix(cause, "ParseBool"):
			return what + ": neither true nor false"
		}
		return what + ": not a number"
	}
	if rest, ok := strings.CutPrefix(message, "unknown command "); ok { // of a command that takes no argument
		arg, _, _ := strings.Cut(rest, " for ")
		return "takes no argument, received " + arg
	}
	return message
}

// usageFix is the way out of a command line that cobra does not understand.
func usageFix(cmd *cobra.Command, message string) string {
	path := cmd.CommandPath()
	if strings.Contains(message, "unknown shorthand flag") {
		return "arguments that begin with - stand behind --, as in: " + path + " -- -5"
	}
	if strings.Contains(message, "arg(s)") || strings.HasPrefix(message, "unknown command ") {
		return "write: " + cmd.UseLine()
	}
	if name, ok := strings.CutPrefix(message, "unknown flag: --"); ok {
		if near := nearFlag(cmd, name); near != "" {
			return "did you mean: --" + near
		}
		for _, c := range cmd.Commands() {
			if c.Name() == name {
				return "did you mean: " + c.CommandPath()
			}
		}
	}
	return "see: " + path + " --help"
}

// nearFlag returns the flag of cmd that name was probably meant to be; empty when there is none.
func nearFlag(cmd *cobra.Command, name string) string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return config.Near(name, names)
}
