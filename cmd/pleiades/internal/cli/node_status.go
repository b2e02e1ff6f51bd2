package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	systemv1 "github.com/shieldmaidens/pleiades/api/system/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
)

func (a *App) nodeStatus() *cobra.Command {
	var list struct{ checks, limits, settings bool }
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Ask a node how it is",
		Long: `Ask a node how it is, over the wire. The exit code is 0 when it is ready, 7 when it says that it is not, and 5 when
it does not answer.`,
		Example: lines("pleiades node status", "pleiades node status --checks", "pleiades node status -o json"),
		Args:    cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.BoolVar(&list.checks, "checks", false, "list what the node looked at")
	fs.BoolVar(&list.limits, "limits", false, "list the node's bounds and how much of them is in use")
	fs.BoolVar(&list.settings, "settings", false, "list the node's settings and who set them")
	cmd.MarkFlagsMutuallyExclusive("checks", "limits", "settings")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		return a.needNode(ctx, func(c *client.Client) error {
			health, err := c.System().Health(ctx)
			if err != nil {
				return err
			}
			switch {
			case list.checks:
				err = a.listChecks(health)
			case list.limits:
				err = a.listLimits(ctx, c)
			case list.settings:
				err = a.listNodeSettings(ctx, c)
			default:
				err = a.showNode(ctx, c, health)
			}
			if err == nil && !health.Ready {
				err = notReady(health)
			}
			return err
		})
	})
	return cmd
}

// notReady says why a node is not ready.
func notReady(h *systemv1.HealthResponse) error {
	for _, c := range h.Checks {
		if !c.Healthy {
			return exit.New(exit.CheckFailed, "pleiades node status --checks lists everything that the node looked at", "%w: the node is not ready: %s: %s", base.ErrUnavailable, c.Name, c.Text)
		}
	}
	return exit.New(exit.CheckFailed, "ask again in a moment", "%w: the node is not ready", base.ErrUnavailable)
}

func (a *App) showNode(ctx context.Context, c *client.Client, h *systemv1.HealthResponse) error {
	n, err := c.System().Node(ctx)
	if err != nil {
		return err
	}
	skew := time.Duration(int64(n.ClockUnixNanos) - a.now().UnixNano())
	return a.out().Object(output.Row{
		output.F("node", n.NodeId), output.F("constellation", n.Constellation), output.F("state", n.State),
		output.F("healthy", h.Healthy), output.F("ready", h.Ready),
		output.F("address", n.AdvertiseAddress), output.F("listen", n.ListenAddress), output.F("admin", n.AdminAddress),
		output.F("uptime", (time.Duration(n.UptimeMillis) * time.Millisecond).Round(time.Second).String()),
		output.F("version", n.Version), output.F("protocol", uint64(n.ProtocolVersion)), output.F("go", n.GoVersion), output.F("rocksdb", n.Rocksdb),
		output.F("pid", n.ProcessId), output.F("dir", n.DataDirectory),
		output.F("shards", uint64(n.Shards)), output.F("disk_used_bytes", n.DiskUsedBytes), output.F("disk_free_bytes", n.DiskFreeBytes),
		output.F("connections", uint64(n.Connections)), output.F("pairs", uint64(n.Pairs)),
		output.F("clock_skew", skew.Round(time.Millisecond).String()),
		output.F("certificate_until", time.Unix(0, int64(n.CertificateExpiresUnixNanos)).UTC().Format(time.RFC3339)),
	})
}

func (a *App) listChecks(h *systemv1.HealthResponse) error {
	s, err := a.out().Stream("check")
	if err != nil {
		return err
	}
	for _, c := range h.Checks {
		if err := s.Row(output.Row{output.F("check", c.Name), output.F("ok", c.Healthy), output.F("found", c.Text)}); err != nil {
			return err
		}
	}
	return s.Close()
}

func (a *App) listLimits(ctx context.Context, c *client.Client) error {
	answer, err := c.System().Limits(ctx)
	if err != nil {
		return err
	}
	s, err := a.out().Stream("used")
	if err != nil {
		return err
	}
	for _, l := range answer.Limits {
		if err := s.Row(output.Row{output.F("limit", l.Name), output.F("value", l.Value), output.F("used", l.Used), output.F("unit", l.Unit)}); err != nil {
			return err
		}
	}
	return s.Close()
}

func (a *App) listNodeSettings(ctx context.Context, c *client.Client) error {
	answer, err := c.System().Settings(ctx)
	if err != nil {
		return err
	}
	s, err := a.out().Stream("value")
	if err != nil {
		return err
	}
	for _, v := range answer.Settings {
		if err := s.Row(output.Row{output.F("name", v.Name), output.F("value", v.Value), output.F("origin", v.Origin)}); err != nil {
			return fmt.Errorf("settings: %w", err)
		}
	}
	return s.Close()
}
