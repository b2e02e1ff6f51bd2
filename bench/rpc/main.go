// Command rpc compares calls over the Pleiades Wire Protocol with gRPC and with QUIC alone, on the same messages, machine
// and certificates: `make bench-rpc`.
//
//	rpc [flags]
//
// Client and server are two processes. The systems run one after the other, round by round (A B C A B C …), each case in
// fresh processes with the GOMAXPROCS that suits the system best. It is a module of its own: who uses Pleiades does not
// download gRPC.
//
// The systems: pwp is net/pwp on net/endpoint; grpc is grpc-go with TLS and unary calls, its messages encoded by
// vtprotobuf as ours are; quic-shared is quic-go with one stream that all calls share, quic-stream with a stream a call:
// they are what the protocol costs nothing on top of. Every call carries a GetRequest and brings back a GetResponse.
//
// It writes results.txt and results.json into the directory -out and the text to standard output.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "rpc:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "serve" {
		return serveChild(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "drive" {
		return driveChild(ctx, args[1:])
	}
	p, err := parsePlan(args)
	if err != nil {
		return err
	}
	out, err := p.run(ctx, os.Stderr)
	if err != nil {
		return err
	}
	text := out.text()
	fmt.Print(text)
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return err
	}
	encoded, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(p.out, "results.txt"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(p.out, "results.json"), append(encoded, '\n'), 0o644),
	)
}

// plan is what one run does.
type plan struct {
	out      string
	rounds   int
	duration time.Duration
	systems  []string
	cases    []call
	procs    []int
}

func parsePlan(args []string) (plan, error) {
	var p plan
	fs := flag.NewFlagSet("rpc", flag.ContinueOnError)
	fs.StringVar(&p.out, "out", "bin/bench-rpc", "directory of the results")
	fs.IntVar(&p.rounds, "rounds", 5, "rounds")
	fs.DurationVar(&p.duration, "duration", 2*time.Second, "of each case")
	systems := fs.String("systems", strings.Join(systemNames(), ","), "systems to run, with commas")
	only := fs.String("cases", "", "cases to run, with commas; empty: all")
	procs := fs.String("gomaxprocs", "2,4", "what to try for each system; the best by its 64 in flight is used")
	if err := fs.Parse(args); err != nil {
		return p, err
	}
	if p.rounds < 1 || p.duration <= 0 {
		return p, fmt.Errorf("%d rounds of %v: at least one of more than nothing", p.rounds, p.duration)
	}
	for name := range strings.SplitSeq(*systems, ",") {
		if !slices.Contains(systemNames(), name) {
			return p, fmt.Errorf("no system %q; there are %s", name, strings.Join(systemNames(), ", "))
		}
		p.systems = append(p.systems, name)
	}
	for _, c := range calls {
		if *only == "" || slices.Contains(strings.Split(*only, ","), c.Name) {
			p.cases = append(p.cases, c)
		}
	}
	if len(p.cases) == 0 {
		return p, fmt.Errorf("no case among %q", *only)
	}
	for n := range strings.SplitSeq(*procs, ",") {
		var v int
		if _, err := fmt.Sscanf(n, "%d", &v); err != nil || v < 1 || v > 1024 {
			return p, fmt.Errorf("GOMAXPROCS %q is not a number from 1 to 1024", n)
		}
		p.procs = append(p.procs, v)
	}
	return p, nil
}
