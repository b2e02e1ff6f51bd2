package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
)

func (a *App) fabricGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "fabric", Short: "Look at the network between nodes",
		Example: lines("pleiades fabric ping"),
	}
	cmd.AddCommand(a.fabricPing())
	return cmd
}

// pingStats are the round trips of a series.
type pingStats struct {
	sent  int
	times []time.Duration
}

func (p *pingStats) summary() (low, mean, high, deviation time.Duration) {
	if len(p.times) == 0 {
		return 0, 0, 0, 0
	}
	var sum, squares float64
	low = p.times[0]
	for _, t := range p.times {
		low, high = min(low, t), max(high, t)
		sum += float64(t)
		squares += float64(t) * float64(t)
	}
	n := float64(len(p.times))
	avg := sum / n
	return low, time.Duration(avg), high, time.Duration(math.Sqrt(max(squares/n-avg*avg, 0)))
}

func (a *App) fabricPing() *cobra.Command {
	var count int
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "ping",
		Short: "Measure the round trip to a node",
		Long: `Measure the round trip to the node by the protocol's own latency test, on a stream pair that carries nothing else. It
includes both programs, as a request's does; the first one also what the connection still had to set up.`,
		Example: lines("pleiades fabric ping", "pleiades fabric ping --count 100 --interval 0s", "pleiades fabric ping -o json"),
		Args:    cobra.NoArgs,
	}
	cmd.Flags().IntVarP(&count, "count", "n", 5, "how many tests, 1 to 100000")
	cmd.Flags().DurationVarP(&interval, "interval", "i", 200*time.Millisecond, "time between two of them")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		if count < 1 || count > 100_000 || interval < 0 {
			return exit.New(exit.Usage, "give --count 1 to 100000 and an --interval from 0s", "%w: %d tests every %v", base.ErrInvalid, count, interval)
		}
		return a.needNode(ctx, func(c *client.Client) error { return a.ping(ctx, c, count, interval) })
	})
	return cmd
}

func (a *App) ping(ctx context.Context, c *client.Client, count int, interval time.Duration) error {
	p, err := c.NewPing(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	var stats pingStats
	for stats.sent < count {
		if stats.sent > 0 && !pause(ctx, interval) {
			err = context.Cause(ctx)
			break
		}
		stats.sent++
		var took time.Duration
		if took, err = p.Send(ctx); err != nil {
			break
		}
		stats.times = append(stats.times, took)
		if !a.out().Structured() {
			line := fmt.Sprintf("from %s: test %d, %s", p.Peer(), stats.sent, shortTime(took))
			if err := a.out().Line(line); err != nil {
				return err
			}
		}
	}
	return errors.Join(a.pinged(p.Peer(), &stats), err)
}

// pause waits; false: ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (a *App) pinged(peer string, stats *pingStats) error {
	low, mean, high, deviation := stats.summary()
	lost := stats.sent - len(stats.times)
	if a.out().Structured() {
		return a.out().Object(output.Row{
			output.F("peer", output.Bytes(peer)), output.F("sent", stats.sent), output.F("lost", lost), output.F("min_us", micros(low)),
			output.F("avg_us", micros(mean)), output.F("max_us", micros(high)), output.F("mdev_us", micros(deviation)),
		})
	}
	return a.out().Line(fmt.Sprintf("%d sent, %d lost, min/avg/max/mdev %s / %s / %s / %s", stats.sent, lost,
		shortTime(low), shortTime(mean), shortTime(high), shortTime(deviation)))
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

// shortTime shows a span with three digits that count.
func shortTime(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f µs", micros(d))
	case d < time.Second:
		return fmt.Sprintf("%.2f ms", micros(d)/1e3)
	}
	return d.Round(time.Millisecond).String()
}
