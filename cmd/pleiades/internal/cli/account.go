package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
)

func (a *App) accountGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "account", Short: "Make, list, change and remove accounts, which own buckets",
		Example: lines("pleiades account create maia", "pleiades account list", "pleiades account set maia --max-buckets 10"),
	}
	cmd.AddCommand(a.accountCreate(), a.accountList(), a.accountShow(), a.accountSet(), a.accountDelete())
	return cmd
}

// accountFlags are what can be set of an account.
type accountFlags struct {
	owner       string
	buckets     int
	keys, bytes uint64
}

func (f *accountFlags) declare(fs *pflag.FlagSet) {
	fs.StringVar(&f.owner, "owner", "", "name of the client certificate that may manage it (empty: anybody)")
	fs.IntVar(&f.buckets, "max-buckets", 0, "buckets that it may have (0: no limit)")
	fs.Uint64Var(&f.keys, "max-keys", 0, "keys that its buckets may hold together (0: no limit)")
	fs.Uint64Var(&f.bytes, "max-bytes", 0, "bytes that its buckets may hold together (0: no limit)")
}

func (f *accountFlags) check() error {
	if f.buckets < 0 {
		return exit.New(exit.Usage, "leave it out for no limit", "%w: --max-buckets %d", base.ErrInvalid, f.buckets)
	}
	return nil
}

func accountRow(x client.Account) output.Row {
	buckets := uint64(x.Limits.MaxBuckets)
	return output.Row{
		output.F("account", x.ID), output.F("name", output.Bytes(x.Name)), output.F("owner", output.Bytes(x.Owner)), output.F("state", x.State.String()),
		output.F("created", clockTime(x.Created)), output.F("buckets", x.Buckets), output.F("keys", x.Usage.Keys), output.F("versions", x.Usage.Versions),
		output.F("bytes", x.Usage.Bytes), output.F("max_buckets", limit(&buckets)), output.F("max_keys", limit(&x.Limits.MaxKeys)),
		output.F("max_bytes", limit(&x.Limits.MaxBytes)),
	}
}

func (a *App) accountCreate() *cobra.Command {
	var f accountFlags
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an account",
		Long: `Make an account and print what it is. NAME has 1 to 64 letters, digits, '-', '_' and '.', and begins with a letter or
digit.`,
		Example: lines("pleiades account create maia", "pleiades account create maia --owner maia --max-buckets 10", "pleiades account create logs --max-bytes 1000000000"),
		Args:    cobra.ExactArgs(1),
	}
	f.declare(cmd.Flags())
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		return a.needNode(ctx, func(c *client.Client) error {
			made, err := c.CreateAccount(ctx, args[0], &client.AccountOptions{
				Owner: f.owner, Limits: client.Limits{MaxBuckets: f.buckets, MaxKeys: f.keys, MaxBytes: f.bytes},
			})
			if err != nil {
				return err
			}
			return a.out().Object(accountRow(made))
		})
	})
	return cmd
}

func (a *App) accountList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the accounts",
		Example: lines("pleiades account list", "pleiades account list -o json", "pleiades account list -o raw"),
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return a.needNode(ctx, func(c *client.Client) error {
				out, err := a.out().Stream("name")
				if err != nil {
					return err
				}
				for x, err := range c.Accounts(ctx) {
					if err == nil {
						err = out.Row(accountRow(x))
					}
					if err != nil {
						return err
					}
				}
				return out.Close()
			})
		}),
	}
}

func (a *App) accountShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show an account: its owner, its limits, and what it holds",
		Example: lines("pleiades account show default", "pleiades account show maia -o json", "pleiades account show maia -o yaml"),
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.needNode(ctx, func(c *client.Client) error {
				x, err := c.Account(ctx, args[0])
				if err != nil {
					return err
				}
				return a.out().Object(accountRow(x))
			})
		}),
	}
}

func (a *App) accountSet() *cobra.Command {
	var f accountFlags
	cmd := &cobra.Command{
		Use:     "set NAME",
		Short:   "Change the owner or the limits of an account",
		Long:    `Change an account. What is not named stays as it is; a limit of 0 is none.`,
		Example: lines("pleiades account set maia --owner maia", "pleiades account set maia --max-keys 1000000", "pleiades account set maia --max-bytes 0"),
		Args:    cobra.ExactArgs(1),
	}
	fs := cmd.Flags()
	f.declare(fs)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		limits := fs.Changed("max-buckets") || fs.Changed("max-keys") || fs.Changed("max-bytes")
		if !limits && !fs.Changed("owner") {
			return exit.New(exit.Usage, "give --owner, --max-buckets, --max-keys or --max-bytes", "%w: nothing to set", base.ErrInvalid)
		}
		if err := f.check(); err != nil {
			return err
		}
		return a.needNode(ctx, func(c *client.Client) error {
			change := client.AccountChange{}
			if fs.Changed("owner") {
				change.Owner = &f.owner
			}
			if limits { // they are set together
				x, err := c.Account(ctx, args[0])
				if err != nil {
					return err
				}
				if fs.Changed("max-buckets") {
					x.Limits.MaxBuckets = f.buckets
				}
				if fs.Changed("max-keys") {
					x.Limits.MaxKeys = f.keys
				}
				if fs.Changed("max-bytes") {
					x.Limits.MaxBytes = f.bytes
				}
				change.Limits = &x.Limits
			}
			x, err := c.SetAccount(ctx, args[0], change)
			if err != nil {
				return err
			}
			return a.out().Object(accountRow(x))
		})
	})
	return cmd
}

func (a *App) accountDelete() *cobra.Command {
	var onlyEmpty bool
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove an account with its buckets and all their data",
		Long: `Remove an account with its buckets and all their data, for good, and wait until all of it is gone. An interruption does
not stop the node; the same command follows it again. It asks on a terminal, and needs --yes elsewhere.`,
		Example: lines("pleiades account delete maia --yes", "pleiades account delete maia --only-empty --yes", "pleiades account delete maia --yes -o json"),
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&onlyEmpty, "only-empty", false, "refuse an account that has buckets")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.needNode(ctx, func(c *client.Client) error {
			x, err := c.Account(ctx, args[0])
			if err != nil {
				return err
			}
			if err := a.confirm(ctx, fmt.Sprintf("remove account %s with %d buckets and %d keys", x.Name, x.Buckets, x.Usage.Keys)); err != nil {
				return err
			}
			bar := a.bar("removing", int64(x.Usage.Keys), "keys")
			done, err := c.DeleteAccount(ctx, x.Name, &client.RemoveOptions{
				OnlyEmpty: onlyEmpty, Progress: func(r client.Removal) { bar.Set(int64(r.Keys), "") },
			})
			bar.Clear()
			if err != nil {
				return err
			}
			return a.gone(output.F("account", output.Bytes(x.Name)), done, true)
		})
	})
	return cmd
}
