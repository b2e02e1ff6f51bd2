package node

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	systemv1 "github.com/shieldmaidens/pleiades/api/system/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/system"
)

// small are settings of a node in dir that takes ports which the system chooses, and little memory.
func small(dir string) *Settings {
	s := Defaults()
	s.Dir, s.Listen, s.Admin, s.Logger = dir, "127.0.0.1:0", "127.0.0.1:0", quiet()
	s.CacheBytes, s.MemtableBytes, s.CertsReload = 8<<20, 8<<20, 100*time.Millisecond
	return s
}

// begin starts a node that stops with the test.
func begin(t *testing.T, s *Settings) *Node {
	t.Helper()
	n, err := Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, n) })
	return n
}

func end(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Stop(context.Background()); err != nil || n.State() != StateStopped {
		t.Errorf("stop: %v, state %v", err, n.State())
	}
}

// connect is a client with the certificate of the first start.
func connect(t *testing.T, n *Node) *pwp.Client {
	t.Helper()
	source, err := certs.Open(n.CertsDir(), certs.ClientLeaf(certs.DefaultClient), nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := endpoint.Open(&endpoint.Options{Certs: source})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := e.Dial(t.Context(), n.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := conn.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = e.Close(context.Background()); _ = source.Close() })
	return client
}

func open(t *testing.T, c *pwp.Client, service wire.Service) *pwp.Pair {
	t.Helper()
	p, err := c.Open(t.Context(), service, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// get reads a page of the admin address.
func get(t *testing.T, n *Node, path string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + n.AdminAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestStartAndStopLeavesNothing starts and stops one directory again and again: the same node each time, and no goroutine
// behind.
func TestStartAndStopLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	before := goleak.IgnoreCurrent()
	var id certs.Identity
	for i := range rounds {
		n, err := Start(t.Context(), small(dir))
		if err != nil {
			t.Fatalf("start %d: %v", i, err)
		}
		if n.First() != (i == 0) {
			t.Errorf("start %d is a first one: %v", i, n.First())
		}
		if i > 0 && !n.Identity().Same(id) {
			t.Errorf("start %d is %v, it was %v", i, n.Identity(), id)
		}
		id = n.Identity()
		end(t, n)
		if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
			t.Errorf("stop %d: %v", i, err)
		}
	}
	goleak.VerifyNone(t, before)
}

func TestTheSystemServiceOverTheWire(t *testing.T) {
	s := small(t.TempDir())
	s.Version, s.Origins = "1.2.3", map[string]string{"listen": "flag --listen"}
	n := begin(t, s)
	p := open(t, connect(t, n), wire.ServiceSystem)
	ask := func(typ wire.MessageType, into interface{ UnmarshalVT([]byte) error }) {
		t.Helper()
		_, msg, err := p.Call(t.Context(), typ, nil, nil)
		if err == nil {
			err = into.UnmarshalVT(msg)
		}
		if err != nil {
			t.Fatalf("%s: %v", system.Name(typ), err)
		}
	}
	var health systemv1.HealthResponse
	if ask(system.Health, &health); !health.Healthy || !health.Ready || len(health.Checks) < 7 {
		t.Errorf("%v", &health)
	}
	var about systemv1.NodeResponse
	ask(system.Node, &about)
	if about.NodeId != n.Identity().Name || about.State != "ready" || about.Version != "1.2.3" || about.ListenAddress != n.Addr() ||
		about.ProcessId != uint64(os.Getpid()) || about.Connections != 1 || about.Pairs != 1 || about.DiskFreeBytes == 0 || about.Rocksdb == "" {
		t.Errorf("%v", &about)
	}
	var settings systemv1.SettingsResponse
	if ask(system.Settings, &settings); len(settings.Settings) != len(definitions) || settings.Settings[1].Origin != "flag --listen" || settings.Settings[2].Origin != "default" {
		t.Errorf("%v", &settings)
	}
	var limits systemv1.LimitsResponse
	if ask(system.Limits, &limits); len(limits.Limits) < 8 || limits.Limits[0].Used != 1 {
		t.Errorf("%v", &limits)
	}
	var metrics systemv1.MetricsResponse
	ask(system.Metrics, &metrics)
	seen := map[string]float64{}
	for _, m := range metrics.Samples {
		seen[m.Name] += m.Value
	}
	for _, name := range []string{"pleiades_ready", "pleiades_engine_syncs_total", "pleiades_requests_total", "pleiades_request_seconds_count", "go_goroutines"} {
		if seen[name] == 0 {
			t.Errorf("%s is %v", name, seen[name])
		}
	}
	// Services that are not built yet say so, in the words of the protocol.
	var refused *pwp.RefusedError
	raft := open(t, connect(t, n), wire.ServiceRaft)
	if _, _, err := raft.Call(t.Context(), 1, nil, nil); !errors.As(err, &refused) || refused.Code != wire.ServiceRetry {
		t.Errorf("raft: %v", err)
	}
}

func TestTheAdminPage(t *testing.T) {
	n := begin(t, small(t.TempDir()))
	for path, want := range map[string]string{
		"/": n.Identity().Name, "/healthz": "healthy\nok  state: ready", "/readyz": "ready\nok ", "/metrics": "pleiades_build_info{",
		"/debug/pprof/": "goroutine", "/debug/pprof/cmdline": "", "/debug/pprof/symbol": "",
	} {
		if code, body := get(t, n, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, code, body)
		}
	}
	if code, _ := get(t, n, "/none"); code != http.StatusNotFound {
		t.Errorf("/none: %d", code)
	}
	for what, tt := range map[string]struct {
		host, site string
		want       int
	}{
		"by another name":                 {host: "evil.example:80", want: http.StatusForbidden},
		"by another site's page":          {site: "cross-site", want: http.StatusForbidden},
		"by a page of another port":       {site: "same-site", want: http.StatusForbidden},
		"by itself":                       {site: "same-origin", want: http.StatusOK},
		"by whoever types it in a window": {site: "none", want: http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.AdminAddr()+"/debug/pprof/cmdline", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = tt.host
		if tt.site != "" {
			req.Header.Set("Sec-Fetch-Site", tt.site)
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("asked for %s: %s", what, resp.Status)
		}
	}
}

// TestStartIsRefused: each way in which a start can fail says why, names the flag, and leaves nothing running.
func TestStartIsRefused(t *testing.T) {
	before := goleak.IgnoreCurrent()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "letter.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*Settings)
		want   error
		says   string
	}{
		"port taken":     {func(s *Settings) { s.Listen = udp.LocalAddr().String() }, ErrPortTaken, "--listen"},
		"admin taken":    {func(s *Settings) { s.Admin = tcp.Addr().String() }, ErrPortTaken, "--admin"},
		"not ours":       {func(s *Settings) { s.Admin, s.AdminBeyondLoopback = "192.0.2.1:0", true }, ErrAddress, "--admin"},
		"beyond":         {func(s *Settings) { s.Listen = ":0" }, ErrNeedsCertificates, "certificates that you made"},
		"not a store":    {func(s *Settings) { s.Dir = full }, engine.ErrNotAStore, "letter.txt"},
		"no certificate": {func(s *Settings) { s.CertsDir = caOnly(t) }, certs.ErrNoCertificate, "node.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			s := small(filepath.Join(t.TempDir(), "node"))
			tt.change(s)
			_, err := Start(t.Context(), s)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v", err)
			}
			if _, err := Running(s.Dir); !errors.Is(err, ErrNotRunning) {
				t.Errorf("it runs: %v", err)
			}
		})
	}
	goleak.VerifyNone(t, before)
}

// caOnly is a directory of certificates that an operator began.
func caOnly(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "certs")
	if _, err := certs.CreateCA(dir, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOneDirectoryOneNode(t *testing.T) {
	s := small(t.TempDir())
	n := begin(t, s)
	if _, err := Start(t.Context(), small(s.Dir)); !errors.Is(err, engine.ErrInUse) {
		t.Errorf("a second node: %v", err)
	}
	f, err := Running(s.Dir)
	if err != nil || f.PID != os.Getpid() || f.Listen != n.Addr() || f.Admin != n.AdminAddr() || f.NodeID != n.Identity().Name {
		t.Errorf("%+v, %v", f, err)
	}
	b, err := json.Marshal(&File{PID: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	crashed := t.TempDir()
	if err := os.WriteFile(filepath.Join(crashed, fileName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Running(crashed); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("a crashed one: %v", err)
	}
}

// TestBeyondTheLoopback: with certificates of the operator a node listens anywhere, and its clients get in.
func TestBeyondTheLoopback(t *testing.T) {
	s := small(t.TempDir())
	s.CertsDir, s.Listen, s.Advertise = caOnly(t), ":0", "db1.example.org:7420"
	if _, err := certs.CreateNode(s.CertsDir, &certs.LeafOptions{Name: "db1", Hosts: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.CreateClient(s.CertsDir, nil); err != nil {
		t.Fatal(err)
	}
	n := begin(t, s)
	if n.First() || n.SelfMade() || n.Identity().Name != "db1" || n.Advertise() != s.Advertise || loopback(n.Addr()) {
		t.Errorf("first %v, self-made %v, %v, %s", n.First(), n.SelfMade(), n.Identity(), n.Addr())
	}
}

// TestFullDisk: writes are refused, which is the disk's fault and not the node's: healthy and not ready.
func TestFullDisk(t *testing.T) {
	s := small(t.TempDir())
	n, err := Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	end(t, n)
	s.DiskFullPercent, s.DiskFullFreeBytes = 1, 1<<60
	n = begin(t, s)
	var health *systemv1.HealthResponse
	for health = n.health(t.Context()); health.Ready && t.Context().Err() == nil; health = n.health(t.Context()) {
		batch := n.eng.NewBatch() // a write makes the engine look at the disk
		if err := batch.Put(n.eng.Local(), []byte{'c', 'x'}, nil); err != nil {
			t.Fatal(err)
		}
		if err := n.eng.Commit(t.Context(), batch, engine.Sync); err != nil && !errors.Is(err, base.ErrDiskFull) {
			t.Fatal(err)
		}
		batch.Close()
	}
	if !health.Healthy || health.Ready {
		t.Errorf("%v", health)
	}
	if code, body := get(t, n, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "BAD disk space: engine: disk full") {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := get(t, n, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
}
