package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/net/certs"
)

// rotateFlags say what is rotated; nothing of it is every leaf.
type rotateFlags struct {
	node, ca, retire, force bool
	clients, san            []string
	ttl                     age
}

func (a *App) certRotate() *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace certificates and keys by new ones",
		Long: `Replace the certificates and keys in --certs-dir by new ones for the same holders, signed by the CA there; all of the
node and the clients, unless some are named. Running nodes and clients take copied files up by themselves.

A CA is replaced in three steps, without an interruption: --ca makes a new one beside the old, and ca.crt, which now holds
both, goes to every node and client; then every certificate is rotated; then --retire-ca takes the old CA out of ca.crt,
which goes to every node and client again. Connections with certificates of the old CA end there.`,
		Example: lines(
			"pleiades cert rotate --certs-dir certs",
			"pleiades cert rotate --node --san db1.example.com,192.0.2.7 --certs-dir certs",
			"pleiades cert rotate --client ada --ttl 30d --certs-dir certs",
			"pleiades cert rotate --ca --certs-dir certs",
			"pleiades cert rotate --retire-ca --certs-dir certs",
		),
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.node, "node", false, "the node's certificate")
	fs.StringSliceVar(&f.clients, "client", nil, "the certificates of these clients")
	fs.StringSliceVar(&f.san, "san", nil, "new host names and addresses of the node (default: as before)")
	fs.Var(&f.ttl, "ttl", "how long the new ones are valid, such as 90d")
	fs.BoolVar(&f.ca, "ca", false, "make a new CA and keep trusting the old ones")
	fs.BoolVar(&f.retire, "retire-ca", false, "trust the newest CA only")
	fs.BoolVar(&f.force, "force", false, "with --retire-ca: even if certificates here are cut off by it")
	cmd.MarkFlagsMutuallyExclusive("ca", "retire-ca", "node")
	cmd.MarkFlagsMutuallyExclusive("ca", "retire-ca", "client")
	cmd.RunE = a.run(func(context.Context, []string) error {
		dir, err := a.certsDir()
		if err != nil {
			return err
		}
		switch {
		case f.force && !f.retire:
			return exit.New(exit.Usage, "leave it out, or write --retire-ca --force", "%w: --force without --retire-ca", base.ErrInvalid)
		case len(f.san) > 0 && !f.node:
			return exit.New(exit.Usage, "write --node --san HOST,...", "%w: --san is for the node's certificate", base.ErrInvalid)
		case f.ca:
			info, err := certs.RotateCA(dir, &certs.CAOptions{TTL: time.Duration(f.ttl), Now: a.now})
			return a.madeCert(info, err, "next: copy ca.crt to every node and client; then pleiades cert rotate; then pleiades cert rotate --retire-ca")
		case f.retire:
			return a.retireCAs(dir, f.force)
		}
		return a.rotateLeaves(dir, f)
	})
	return cmd
}

func (a *App) retireCAs(dir string, force bool) error {
	retired, err := certs.RetireCAs(dir, force)
	if err != nil {
		return err
	}
	if len(retired) == 0 {
		a.note("nothing to do: one CA is trusted")
	}
	if err := a.certRows(retired); err != nil || len(retired) == 0 {
		return err
	}
	a.note("next: copy ca.crt to every node and client; the CAs above are not trusted where it has arrived")
	return nil
}

// certRows prints certificates, one a row.
func (a *App) certRows(infos []certs.Info) error {
	s, err := a.out().Stream("certificate")
	if err != nil {
		return err
	}
	for _, i := range infos {
		if err := s.Row(certRow(i)); err != nil {
			return err
		}
	}
	return s.Close()
}

// rotateLeaves rotates the leaves that were named, or all of them.
func (a *App) rotateLeaves(dir string, f rotateFlags) error {
	leaves, err := rotateList(dir, f, a.now())
	if err != nil {
		return err
	}
	var made []certs.Info
	for _, leaf := range leaves {
		o := certs.LeafOptions{TTL: time.Duration(f.ttl), Now: a.now}
		if leaf == certs.NodeLeaf {
			o.Hosts = f.san
		}
		info, err := certs.Rotate(dir, leaf, &o)
		if err != nil {
			return errors.Join(a.certRows(made), err) // those before it are rotated
		}
		made = append(made, info)
	}
	if err := a.certRows(made); err != nil {
		return err
	}
	a.note("next: copy each pair to where it is used; running nodes and clients take it up by themselves")
	return nil
}

func rotateList(dir string, f rotateFlags, now time.Time) ([]certs.Leaf, error) {
	var leaves []certs.Leaf
	if f.node {
		leaves = append(leaves, certs.NodeLeaf)
	}
	for _, name := range f.clients {
		leaves = append(leaves, certs.ClientLeaf(name))
	}
	if len(leaves) > 0 {
		return leaves, nil
	}
	list, err := certs.List(dir, now)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		switch i.Identity.Role {
		case certs.RoleNode:
			leaves = append(leaves, certs.NodeLeaf)
		case certs.RoleClient:
			leaves = append(leaves, certs.ClientLeaf(i.Identity.Name))
		}
	}
	if len(leaves) == 0 {
		return nil, exit.New(exit.NotFound, "make one: pleiades cert create-node, or pleiades cert create-client", "%w: no certificate of a node or a client in %s", base.ErrNotFound, dir)
	}
	return leaves, nil
}
