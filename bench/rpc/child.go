package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"syscall"
	"time"
)

// system is one thing that is compared.
type system struct {
	name string
	// serve answers with values of a size until ctx is done; it says its address when it listens.
	serve func(ctx context.Context, certs string, valueBytes int, listening func(addr string)) error
	// dial returns what makes connections to addr.
	dial func(certs, addr string, ticket bool) (dialer, func(), error)
}

var systems = []system{pwpSystem, grpcSystem, quicShared, quicStream}

func systemNames() []string {
	names := make([]string, len(systems))
	for i, s := range systems {
		names[i] = s.name
	}
	return names
}

func systemNamed(name string) (system, error) {
	for _, s := range systems {
		if s.name == name {
			return s, nil
		}
	}
	return system{}, fmt.Errorf("no system %q", name)
}

// childFlags are what both kinds of children are told.
func childFlags(args []string) (s system, c call, certs, addr string, d time.Duration, profile string, err error) {
	fs := flag.NewFlagSet("child", flag.ContinueOnError)
	sys := fs.String("system", "", "")
	name := fs.String("case", "", "")
	fs.StringVar(&certs, "certs", "", "")
	fs.StringVar(&addr, "addr", "", "")
	fs.StringVar(&profile, "cpuprofile", os.Getenv("RPC_CPUPROFILE"), "")
	fs.DurationVar(&d, "duration", time.Second, "")
	if err = fs.Parse(args); err != nil {
		return
	}
	if s, err = systemNamed(*sys); err != nil {
		return
	}
	c, err = callNamed(*name)
	return
}

// serveChild serves until its standard input ends, and answers each line with the CPU seconds that it took so far.
func serveChild(ctx context.Context, args []string) error {
	s, c, certs, _, _, profile, err := childFlags(args)
	if err != nil {
		return err
	}
	stop, err := startProfile(profile, "server-"+s.name)
	if err != nil {
		return err
	}
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with standard input, which the parent holds; at the latest with the process
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			fmt.Println(cpuSeconds())
		}
		cancel()
	}()
	return s.serve(ctx, certs, c.ResponseBytes, func(addr string) { fmt.Println(addr) })
}

// driveChild runs a case and prints what came of it.
func driveChild(ctx context.Context, args []string) error {
	s, c, certs, addr, d, profile, err := childFlags(args)
	if err != nil {
		return err
	}
	stop, err := startProfile(profile, "client-"+s.name)
	if err != nil {
		return err
	}
	defer stop()
	dial, done, err := s.dial(certs, addr, c.Ticket)
	if err != nil {
		return err
	}
	defer done()
	f, err := drive(ctx, c, dial, d)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(struct {
		figures
		CPU float64 `json:"cpu_seconds"`
	}{f, cpuSeconds()})
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func startProfile(prefix, name string) (func(), error) {
	if prefix == "" {
		return func() {}, nil
	}
	f, err := os.Create(prefix + name + ".pprof")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}
