package cli

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/net/certs"
)

func (a *App) certGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cert", Short: "Make, show and rotate the certificates of nodes and clients",
		Long: `Make, show and rotate the certificates of nodes and clients, in --certs-dir. Nodes and clients show each other
certificates that a CA of their constellation signed; docs/security.md says who may do what.`,
		Example: lines(
			"pleiades cert create-ca --certs-dir certs",
			"pleiades cert create-node n1 --san db1.example.com,192.0.2.7 --certs-dir certs",
			"pleiades cert create-client ada --certs-dir certs",
			"pleiades cert show --certs-dir certs",
		),
	}
	cmd.AddCommand(a.certCreateCA(), a.certCreateNode(), a.certCreateClient(), a.certShow(), a.certRotate())
	return cmd
}

// certsDir returns --certs-dir, which may come from the context.
func (a *App) certsDir() (string, error) {
	if dir := a.text("certs-dir"); dir != "" {
		return dir, nil
	}
	return "", exit.New(exit.Usage, "say where the certificates are: --certs-dir DIR, or export PLEIADES_CERTS_DIR=DIR", "%w: no directory given", base.ErrInvalid)
}

// certError brings an error of package certs into the form of this program: the way out on a line of its own.
func certError(err error) error {
	var e *certs.Error
	if !errors.As(err, &e) {
		return err
	}
	code, _ := exit.Of(err)
	return &exit.Error{Code: code, Err: certText{err, e}, Fix: e.Fix}
}

// certText is an error whose message leaves out the way out.
type certText struct {
	error
	inner *certs.Error
}

func (t certText) Error() string {
	return strings.Replace(t.error.Error(), t.inner.Error(), t.inner.Text(), 1)
}
func (t certText) Unwrap() error { return t.error }

func (a *App) certCreateCA() *cobra.Command {
	var constellation string
	var ttl age
	cmd := &cobra.Command{
		Use:   "create-ca",
		Short: "Make the certificate authority of a new constellation",
		Long: `Make a certificate authority: ca.crt and ca.key. Every node and client needs ca.crt; ca.key signs their
certificates and is best kept off all of them.`,
		Example: lines(
			"pleiades cert create-ca --certs-dir certs",
			"pleiades cert create-ca --certs-dir certs --constellation prod",
			"pleiades cert create-ca --certs-dir certs --ttl 3650d -o json",
		),
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&constellation, "constellation", certs.DefaultConstellation, "name of the constellation: a-z, 0-9, '-'")
	cmd.Flags().Var(&ttl, "ttl", "how long it is valid, such as 3650d (default 10 years)")
	cmd.RunE = a.run(func(context.Context, []string) error {
		dir, err := a.certsDir()
		if err != nil {
			return err
		}
		info, err := certs.CreateCA(dir, &certs.CAOptions{Constellation: constellation, TTL: time.Duration(ttl), Now: a.now})
		return a.madeCert(info, err, "next: pleiades cert create-node NAME --san HOST --certs-dir %s", dir)
	})
	return cmd
}

func (a *App) certCreateNode() *cobra.Command {
	var san []string
	var ttl age
	cmd := &cobra.Command{
		Use:   "create-node [NAME]",
		Short: "Make the certificate of a node",
		Long: `Make the certificate of a node, signed by the CA in --certs-dir: node.crt and node.key. NAME is the node's id; without
it one is made up. --san names every host by which clients reach the node; without it the node is for this machine only.
A directory has room for one node: use one for each, with the same ca.crt and ca.key, and take ca.key away afterwards.`,
		Example: lines(
			"pleiades cert create-node --certs-dir certs",
			"pleiades cert create-node n1 --san db1.example.com,192.0.2.7 --certs-dir certs",
			"pleiades cert create-node n1 --san localhost,127.0.0.1,::1 --ttl 90d --certs-dir certs",
		),
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringSliceVar(&san, "san", nil, "host names and addresses, with commas between them (default localhost,127.0.0.1,::1)")
	cmd.Flags().Var(&ttl, "ttl", "how long it is valid, such as 90d (default a year)")
	cmd.RunE = a.run(func(_ context.Context, args []string) error {
		dir, err := a.certsDir()
		if err != nil {
			return err
		}
		o := certs.LeafOptions{Hosts: san, TTL: time.Duration(ttl), Now: a.now}
		if len(args) == 1 {
			if o.Name = args[0]; o.Name == "" {
				return exit.New(exit.Usage, "leave it out for a made-up name; a shell variable may be empty", "%w: an empty name", base.ErrInvalid)
			}
		}
		info, err := certs.CreateNode(dir, &o)
		return a.madeCert(info, err, "next: copy ca.crt, node.crt and node.key to the node, or start it here: pleiades node start --certs-dir %s", dir)
	})
	return cmd
}

func (a *App) certCreateClient() *cobra.Command {
	var ttl age
	cmd := &cobra.Command{
		Use:   "create-client [NAME]",
		Short: "Make the certificate of a client",
		Long: `Make the certificate of a client, signed by the CA in --certs-dir: client.NAME.crt and client.NAME.key. Without NAME
it is that of root.`,
		Example: lines(
			"pleiades cert create-client --certs-dir certs",
			"pleiades cert create-client ada --certs-dir certs",
			"pleiades cert create-client ada --ttl 30d --certs-dir certs -o json",
		),
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().Var(&ttl, "ttl", "how long it is valid, such as 30d (default a year)")
	cmd.RunE = a.run(func(_ context.Context, args []string) error {
		dir, err := a.certsDir()
		if err != nil {
			return err
		}
		o := certs.LeafOptions{Name: certs.DefaultClient, TTL: time.Duration(ttl), Now: a.now}
		if len(args) == 1 {
			o.Name = args[0]
		}
		if o.Name == "" {
			return exit.New(exit.Usage, "leave it out for "+certs.DefaultClient+"; a shell variable may be empty", "%w: an empty name", base.ErrInvalid)
		}
		info, err := certs.CreateClient(dir, &o)
		return a.madeCert(info, err, "next: copy ca.crt and both files to the client; it uses them with --certs-dir DIR --user "+o.Name)
	})
	return cmd
}

// madeCert prints what was made and what comes next.
func (a *App) madeCert(info certs.Info, err error, next string, args ...any) error {
	if err == nil {
		err = a.out().Object(certRow(info))
	}
	if err == nil {
		a.note(next, args...)
	}
	return err
}

// certRow describes a certificate.
func certRow(i certs.Info) output.Row {
	row := output.Row{output.F("certificate", i.Cert), output.F("key", nil), output.F("role", nil), output.F("name", nil), output.F("constellation", nil)}
	if i.HasKey {
		row[1] = output.F("key", i.Key)
	}
	var from, until any
	if id := i.Identity; id.Role != 0 {
		row[2], row[3], row[4] = output.F("role", id.Role.String()), output.F("name", id.Name), output.F("constellation", id.Constellation)
		from, until = id.NotBefore.UTC().Format(time.RFC3339), id.NotAfter.UTC().Format(time.RFC3339)
	}
	return append(row,
		output.F("hosts", textOrNil(strings.Join(i.Hosts, ","))), output.F("signed_by", textOrNil(i.Issuer)),
		output.F("from", from), output.F("until", until), output.F("serial", textOrNil(i.Identity.Serial)))
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (a *App) certShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show the certificates of the directory, and what is wrong with them",
		Long: `Show the certificates of the directory: the trusted CAs, the node's, the clients'. A CA with a key signs new
certificates. What is wrong with one stands in the last column; the exit code is 0 all the same (pleiades doctor judges).`,
		Example: lines("pleiades cert show", "pleiades cert show --certs-dir certs", "pleiades cert show --certs-dir certs -o json"),
		Args:    cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			dir, err := a.certsDir()
			if err != nil {
				return err
			}
			list, err := certs.List(dir, a.now())
			if err != nil {
				return err
			}
			s, err := a.out().Stream("name")
			if err != nil {
				return err
			}
			for _, i := range list {
				if err := s.Row(showRow(i)); err != nil {
					return err
				}
			}
			return s.Close()
		}),
	}
}

// showRow is certRow for a table: the name of the file instead of its path, and what is wrong.
func showRow(i certs.Info) output.Row {
	row := certRow(i)
	row[0] = output.F("certificate", filepath.Base(i.Cert))
	if i.HasKey {
		row[1] = output.F("key", filepath.Base(i.Key))
	}
	var problem any
	if i.Problem != nil {
		problem = certError(i.Problem).Error()
	}
	return append(row, output.F("problem", problem))
}
