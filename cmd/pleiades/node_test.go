package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// place is a machine of its own for the commands of a test: a directory to work in and a person's configuration.
type place struct {
	t    *testing.T
	dir  string
	more []string // of the environment
}

func newPlace(t *testing.T) *place { return &place{t: t, dir: t.TempDir()} }

func (p *place) command(args ...string) *process {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	c := &process{Cmd: exec.Command(self, args...)}
	c.Dir = p.dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PLEIADES_") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(append(c.Env, beMain+"=1", "HOME="+p.dir), p.more...)
	c.Stdout, c.Stderr = &c.out, &c.errs
	return c
}

func (p *place) run(args ...string) (out, errs string, code int) {
	p.t.Helper()
	c := p.command(args...)
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	code = c.code(p.t)
	return c.out.String(), c.errs.String(), code
}

// serve starts a node and returns when it has said that it is ready, with what it said up to there.
func (p *place) serve(args ...string) (node *process, said string) {
	p.t.Helper()
	c := p.command(append([]string{"node", "start"}, args...)...)
	c.Stdout = nil
	pipe, err := c.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	})
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		said += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "Ctrl-C") || lines.Text() == "}" {
			return c, said
		}
	}
	_ = c.Wait()
	p.t.Fatalf("the node ended: %s%s", said, c.errs.String())
	return nil, ""
}

var anyPorts = []string{"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}

// TestTwoTerminals is the first minute: a node on an empty directory, commands without a flag, SIGTERM, and the same again.
func TestTwoTerminals(t *testing.T) {
	p := newPlace(t)
	for round := range 2 {
		node, said := p.serve(anyPorts...)
		if !strings.Contains(said, "In another terminal:\n") || strings.Contains(said, "(made now") != (round == 0) {
			t.Errorf("round %d: %s", round, said)
		}
		for _, args := range [][]string{{"kv", "put", "greeting", "hello"}, {"kv", "history", "greeting"}, {"node", "status"}, {"node", "status", "--checks"}, {"node", "status", "--limits"}, {"node", "status", "--settings"}} {
			if out, errs, code := p.run(args...); code != 0 || out == "" {
				t.Errorf("%q: %d\n%s%s", args, code, out, errs)
			}
		}
		if out, errs, code := p.run("-o", "raw", "kv", "get", "greeting"); code != 0 || out != "hello" {
			t.Errorf("got %q, %d\n%s", out, code, errs)
		}
		out, errs, code := p.run("node", "status", "-o", "json")
		var status struct {
			State string `json:"state"`
			Ready bool   `json:"ready"`
		}
		if err := json.Unmarshal([]byte(out), &status); err != nil || code != 0 || !status.Ready || status.State != "ready" {
			t.Errorf("%v, %d: %s%s", err, code, out, errs)
		}
		// A node has the directory: an embedded command is told where to go instead.
		if _, errs, code := p.run("--dir", "pleiades-data", "kv", "get", "greeting"); code != 5 || !strings.Contains(errs, "a node runs there since") {
			t.Errorf("beside the node: %d %s", code, errs)
		}
		if _, errs, code := p.run("node", "start"); code != 5 || !strings.Contains(errs, "a node runs there since") {
			t.Errorf("a second node: %d %s", code, errs)
		}
		if err := node.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := node.code(t); code != 0 {
			t.Errorf("round %d: SIGTERM ends with %d\n%s", round, code, node.errs.String())
		}
		if !strings.Contains(node.errs.String(), "msg=stopped step=drain") {
			t.Errorf("the log says nothing of the drain:\n%s", node.errs.String())
		}
	}
	if out, errs, code := p.run("-o", "raw", "--dir", "pleiades-data", "kv", "get", "greeting", "--version", "1"); code != 0 || out != "hello" {
		t.Errorf("without the node: %q, %d\n%s", out, code, errs)
	}
	if _, errs, code := p.run("node", "status"); code != 5 || !strings.Contains(errs, "fix: ") {
		t.Errorf("status without a node: %d %s", code, errs)
	}
}

// TestContextsAreNotTakenAway: a second node on the machine leaves the context of the first alone.
func TestContextsAreNotTakenAway(t *testing.T) {
	p := newPlace(t)
	_, _ = p.serve(anyPorts...)
	second, said := p.serve(append([]string{"--dir", "second", "-o", "json"}, anyPorts...)...)
	var about struct{ Context, Listen, Dir string }
	if err := json.Unmarshal([]byte(said), &about); err != nil || about.Context != "" || about.Dir != filepath.Join(p.dir, "second") {
		t.Errorf("%v: %s", err, said)
	}
	if err := second.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := second.code(t); code != 0 || !strings.Contains(second.errs.String(), "context local is that of another node") {
		t.Errorf("%d %s", code, second.errs.String())
	}
	_, said = p.serve(append([]string{"--dir", "third", "--save-context", "other"}, anyPorts...)...)
	if !strings.Contains(said, " --context other kv put") {
		t.Errorf("%s", said)
	}
	if out, errs, code := p.run("--context", "other", "node", "status"); code != 0 || !strings.Contains(out, filepath.Join(p.dir, "third")) {
		t.Errorf("%d %s%s", code, out, errs)
	}
}

// TestNodeStartRefuses: every refusal has its code, names the setting, and says what to do.
func TestNodeStartRefuses(t *testing.T) {
	busy, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for name, tt := range map[string]struct {
		args, env []string
		file      string
		code      int
		says      []string
	}{
		"flag":      {args: []string{"--drain-timout", "1s"}, code: 2, says: []string{"did you mean: --drain-timeout"}},
		"variable":  {env: []string{"PLEIADES_LISTN=x"}, code: 2, says: []string{"PLEIADES_LISTN is no setting", "did you mean: PLEIADES_LISTEN"}},
		"file":      {file: "lisen = 'x'", code: 2, says: []string{"node.toml:1", "did you mean: listen"}},
		"value":     {env: []string{"PLEIADES_CACHE_BYTES=much"}, code: 2, says: []string{"cache-bytes from PLEIADES_CACHE_BYTES", "256MiB"}},
		"port":      {args: []string{"--listen", busy.LocalAddr().String(), "--admin", "off"}, code: 5, says: []string{"(--listen)", "choose another port"}},
		"beyond":    {args: []string{"--listen", ":0"}, code: 6, says: []string{"pleiades cert create-ca"}},
		"admin":     {args: []string{"--admin", "0.0.0.0:0"}, code: 2, says: []string{"--admin-beyond-loopback"}},
		"arguments": {args: []string{"now"}, code: 2, says: []string{"fix: "}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.more = tt.env
			args := append([]string{"node", "start"}, tt.args...)
			if tt.file != "" {
				if err := os.WriteFile(filepath.Join(p.dir, "node.toml"), []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--config", "node.toml")
			}
			out, errs, code := p.run(args...)
			if code != tt.code || out != "" {
				t.Errorf("exit %d, want %d: %s%s", code, tt.code, out, errs)
			}
			for _, text := range tt.says {
				if !strings.Contains(errs, text) {
					t.Errorf("%q is not in: %s", text, errs)
				}
			}
		})
	}
}

// TestNodeSettingsHaveOrigins: the sources in their order, as config show --node and the running node tell them.
func TestNodeSettingsHaveOrigins(t *testing.T) {
	p := newPlace(t)
	p.more = []string{"PLEIADES_LOG_FORMAT=json", "PLEIADES_DRAIN_TIMEOUT=3s"}
	file := "# a node\nlog-format = 'text'\nlisten = '127.0.0.1:0'\nadmin = 'off'\nquiet = false\n"
	if err := os.WriteFile(filepath.Join(p.dir, "node.toml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"name":"listen","value":"127.0.0.1:0","origin":"node.toml:3"}`,
		`{"name":"log-format","value":"json","origin":"PLEIADES_LOG_FORMAT"}`,
		`{"name":"drain-timeout","value":"3s","origin":"PLEIADES_DRAIN_TIMEOUT"}`,
		`{"name":"stop-timeout","value":"10s","origin":"default"}`,
	}
	out, errs, code := p.run("--config", "node.toml", "-o", "jsonl", "config", "show", "--node", "--origin")
	for _, line := range want {
		if code != 0 || !strings.Contains(out, line+"\n") {
			t.Errorf("%d: %s is not in: %s%s", code, line, out, errs)
		}
	}
	node, _ := p.serve("--config", "node.toml")
	out, errs, code = p.run("-o", "jsonl", "node", "status", "--settings")
	for _, line := range want {
		if code != 0 || !strings.Contains(out, line+"\n") {
			t.Errorf("%d: %s is not in: %s%s", code, line, out, errs)
		}
	}
	if err := node.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := node.code(t); code != 0 {
		t.Errorf("exit %d", code)
	}
	for line := range bytes.Lines(node.errs.Bytes()) {
		if !json.Valid(line) {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
	}
}
