package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is one run of a case.
type sample struct {
	figures
	// ClientCPU and ServerCPU are seconds of processor time, client's warm-up and start included.
	ClientCPU float64 `json:"client_cpu_seconds"`
	ServerCPU float64 `json:"server_cpu_seconds"`
}

// perSecond is calls a second.
func (s sample) perSecond() float64 { return float64(s.Calls) / s.Seconds }

// cpuPer100k is processor seconds for 100,000 calls. The warm-up's calls cost time and are not counted, for all alike.
func (s sample) cpuPer100k() float64 { return (s.ClientCPU + s.ServerCPU) / float64(s.Calls) * 1e5 }

// outcome is a whole run.
type outcome struct {
	Machine  string         `json:"machine"`
	Go       string         `json:"go"`
	Taken    time.Time      `json:"taken"`
	Rounds   int            `json:"rounds"`
	Duration string         `json:"duration"`
	Procs    map[string]int `json:"gomaxprocs"`
	Cases    []string       `json:"cases"`
	Systems  []string       `json:"systems"`
	// Samples are by system and case, one a round.
	Samples map[string]map[string][]sample `json:"samples"`
}

func (p plan) run(ctx context.Context, progress io.Writer) (*outcome, error) {
	certs, err := os.MkdirTemp("", "pleiades-bench-rpc-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(certs)
	if err := makeCertificates(certs); err != nil {
		return nil, err
	}
	out := &outcome{
		Machine: machine(), Go: runtime.Version(), Taken: time.Now().UTC(), Rounds: p.rounds, Duration: p.duration.String(),
		Procs: map[string]int{}, Systems: p.systems, Samples: map[string]map[string][]sample{},
	}
	for _, c := range p.cases {
		out.Cases = append(out.Cases, c.Name)
	}
	for _, s := range p.systems {
		out.Samples[s] = map[string][]sample{}
		best := 0.0
		for _, n := range p.procs {
			if len(p.procs) == 1 {
				out.Procs[s] = n
				break
			}
			got, err := p.one(ctx, s, calls[1], n, certs)
			if err != nil {
				return nil, fmt.Errorf("%s, GOMAXPROCS %d: %w", s, n, err)
			}
			fmt.Fprintf(progress, "%s with GOMAXPROCS %d: %.0f calls a second\n", s, n, got.perSecond())
			if got.perSecond() > best {
				best, out.Procs[s] = got.perSecond(), n
			}
		}
	}
	for round := range p.rounds {
		for _, c := range p.cases {
			for _, s := range p.systems {
				got, err := p.one(ctx, s, c, out.Procs[s], certs)
				if err != nil {
					return nil, fmt.Errorf("%s, %s, round %d: %w", s, c.Name, round+1, err)
				}
				fmt.Fprintf(progress, "round %d/%d  %-14s  %-12s  %8.0f/s  p50 %.0f µs\n", round+1, p.rounds, c.Name, s, got.perSecond(), got.P50)
				out.Samples[s][c.Name] = append(out.Samples[s][c.Name], got)
			}
		}
	}
	return out, nil
}

// one runs a case of a system in two processes.
func (p plan) one(ctx context.Context, sys string, c call, procs int, certs string) (sample, error) {
	args := []string{"-system", sys, "-case", c.Name, "-certs", certs, "-duration", p.duration.String()}
	env := append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(procs))
	server := exec.CommandContext(ctx, os.Args[0], append([]string{"serve"}, args...)...)
	server.Env, server.Stderr = env, os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		return sample{}, err
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		return sample{}, err
	}
	if err := server.Start(); err != nil {
		return sample{}, err
	}
	said := bufio.NewScanner(stdout)
	line := func() (string, error) {
		if !said.Scan() {
			return "", fmt.Errorf("the server of %s has ended", sys)
		}
		return said.Text(), nil
	}
	got, err := func() (sample, error) {
		addr, err := line()
		if err != nil {
			return sample{}, err
		}
		client := exec.CommandContext(ctx, os.Args[0], append([]string{"drive", "-addr", addr}, args...)...)
		var answer bytes.Buffer
		client.Env, client.Stderr, client.Stdout = env, os.Stderr, &answer
		if err := client.Run(); err != nil {
			return sample{}, err
		}
		var s struct {
			figures
			CPU float64 `json:"cpu_seconds"`
		}
		if err := json.Unmarshal(answer.Bytes(), &s); err != nil {
			return sample{}, err
		}
		if _, err := io.WriteString(in, "cpu\n"); err != nil {
			return sample{}, err
		}
		text, err := line()
		if err != nil {
			return sample{}, err
		}
		cpu, err := strconv.ParseFloat(text, 64)
		return sample{figures: s.figures, ClientCPU: s.CPU, ServerCPU: cpu}, err
	}()
	in.Close()
	if werr := server.Wait(); err == nil && werr != nil {
		err = fmt.Errorf("the server of %s: %w", sys, werr)
	}
	return got, err
}

func machine() string {
	model := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(info)) {
			if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, loopback", runtime.NumCPU(), model)
}

func median(of []float64) float64 {
	s := slices.Sorted(slices.Values(of))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
