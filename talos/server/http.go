package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// httpWriteTimeout leaves room for a CPU profile or a trace.
const httpWriteTimeout = 2 * time.Minute

// serveHTTP serves the operators' pages until stop is called; an end before that
// goes to fail. l may be nil.
func (n *Node) serveHTTP(l net.Listener, fail func(error)) (stop func()) {
	if l == nil {
		return func() {}
	}
	s := &http.Server{
		Handler:           n.pages(),
		ReadHeaderTimeout: handshakeTimeout,
		ReadTimeout:       handshakeTimeout,
		WriteTimeout:      httpWriteTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		err := s.Serve(netutil.LimitListener(l, maxConnections))
		if !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve HTTP: %w", err))
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			if err := s.Close(); err != nil {
				n.cfg.Logger.Warn("HTTP port not closed in good order", "error", err)
			}
		}
		<-served
	}
}

// pages are /healthz, /readyz, /metrics and /debug/pprof.
func (n *Node) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := n.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	if n.cfg.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(n.cfg.Gatherer, promhttp.HandlerOpts{}))
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	// A client that went away while it was told is none of our business.
	_, _ = fmt.Fprintln(w, text)
}
