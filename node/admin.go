package node

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	systemv1 "github.com/shieldmaidens/pleiades/api/system/v1"
)

// The admin page's limits. A profile may run for profileMax.
const (
	adminHeaderTimeout = 5 * time.Second
	adminIdleTimeout   = 60 * time.Second
	adminWriteTimeout  = 5 * time.Minute
	adminHeaderBytes   = 16 << 10
)

// startAdmin serves the admin page.
func (n *Node) startAdmin(ctx context.Context) (stopFunc, error) {
	s := &n.settings
	if s.Admin == adminOff {
		return nil, nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.Admin)
	if err != nil {
		return nil, listenError(err, "TCP", s.Admin, "admin")
	}
	n.admin = listener.Addr()
	if !loopback(s.Admin) {
		n.log.Warn("the admin page is reached by other machines and has no access control", "admin", n.AdminAddr())
	}
	server := &http.Server{
		Handler: n.adminHandler(), ReadHeaderTimeout: adminHeaderTimeout, ReadTimeout: adminHeaderTimeout,
		WriteTimeout: adminWriteTimeout, IdleTimeout: adminIdleTimeout, MaxHeaderBytes: adminHeaderBytes,
	}
	n.sup.run("admin", func(ctx context.Context) error {
		ended := make(chan struct{})
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			select {
			case <-ended:
			case <-ctx.Done():
				_ = server.Close() // profiles under way are cut
			}
		}()
		err := server.Serve(listener)
		close(ended)
		<-stopped
		if errors.Is(err, http.ErrServerClosed) {
			return ctx.Err()
		}
		return err
	})
	return nil, nil
}

// adminHandler is the whole page. Names of machines that do not stand for this one are refused, so that a web page of
// somebody else cannot read it through a browser on this machine (DNS rebinding). Nor can such a page have a browser
// start profiles: browsers say where a request comes from (Sec-Fetch-Site, W3C Fetch Metadata), other programs do not.
func (n *Node) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", n.serveIndex)
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 8, Timeout: 30 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		h := n.health(r.Context())
		writeHealth(w, h.Healthy, "healthy", h)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		h := n.health(r.Context())
		writeHealth(w, h.Ready, "ready", h)
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	if !loopback(n.settings.Admin) {
		return mux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if !loopback(net.JoinHostPort(strings.Trim(host, "[]"), "0")) {
			http.Error(w, "this page is for this machine: use its loopback address", http.StatusForbidden)
			return
		}
		if from := r.Header.Get("Sec-Fetch-Site"); from == "cross-site" || from == "same-site" {
			http.Error(w, "another web page asked for this: open the address yourself", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func writeHealth(w http.ResponseWriter, ok bool, word string, h *systemv1.HealthResponse) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if ok {
		fmt.Fprintln(w, word)
	} else {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not", word)
	}
	for _, c := range h.Checks {
		mark := "ok "
		if !c.Healthy {
			mark = "BAD"
		}
		fmt.Fprintf(w, "%s %s: %s\n", mark, c.Name, c.Text)
	}
}

func (n *Node) serveIndex(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><title>pleiades %[1]s</title>
<h1>Pleiades node %[1]s</h1>
<p>constellation %[2]s, %[3]s, version %[4]s, up %[5]s, listening on %[6]s
<ul>
<li><a href="/metrics">/metrics</a> for Prometheus
<li><a href="/healthz">/healthz</a> the process works
<li><a href="/readyz">/readyz</a> it takes requests
<li><a href="/debug/pprof/">/debug/pprof/</a> profiles
</ul>
`, html.EscapeString(n.record.node), html.EscapeString(n.record.constellation), n.State(),
		html.EscapeString(n.settings.Version), n.uptime().Round(time.Second), html.EscapeString(n.Addr()))
}
