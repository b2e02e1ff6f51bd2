package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func (a *App) netGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "net", Short: "Look at the connections of a node",
		Example: lines("pleiades net contexts"),
	}
	cmd.AddCommand(a.netContexts())
	return cmd
}

func (a *App) netContexts() *cobra.Command {
	return &cobra.Command{
		Use:   "contexts",
		Short: "List the live stream pairs of a node",
		Long: `List the live stream pairs of the node, the one that asks included: peer, service, state, requests under way, bytes and
messages in both directions, age.`,
		Example: lines("pleiades net contexts", "pleiades net contexts -o json", "pleiades net contexts -o jsonl"),
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return a.needNode(ctx, func(c *client.Client) error {
				out, err := a.out().Stream("peer")
				if err != nil {
					return err
				}
				for m, err := range c.System().Contexts(ctx) {
					if err != nil {
						return err
					}
					service := wire.Service(m.Service).String()
					if m.Service == 0 {
						service = "none"
					}
					err := out.Row(output.Row{
						output.F("peer", output.Bytes(m.Peer)), output.F("stream", m.Stream), output.F("service", service), output.F("state", m.State),
						output.F("in_flight", uint64(m.InFlight)), output.F("queued_bytes", m.QueuedBytes), output.F("bytes_in", m.BytesIn), output.F("bytes_out", m.BytesOut),
						output.F("messages_in", m.MessagesIn), output.F("messages_out", m.MessagesOut), output.F("age_seconds", float64(m.AgeMillis)/1000),
						output.F("round_trip_us", m.RoundTripMicros), output.F("incoming", m.Incoming),
					})
					if err != nil {
						return err
					}
				}
				return out.Close()
			})
		}),
	}
}
