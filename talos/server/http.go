package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/talos-log/talos/talos/server/access"
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
		ReadHeaderTimeout: n.cfg.Capacity.Handshake,
		ReadTimeout:       n.cfg.Capacity.Handshake,
		WriteTimeout:      httpWriteTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    n.cfg.Capacity.HeaderBytes,
		ErrorLog:          slog.NewLogLogger(n.cfg.Logger.Handler(), slog.LevelDebug),
		Protocols:         &http.Protocols{},
	}
	s.Protocols.SetHTTP1(true)
	served := make(chan struct{})
	go func() {
		defer close(served)
		var limited net.Listener = limitConnections(l, n.cfg.Capacity, 1, n.refuseConnection)
		if n.cfg.TLS != nil {
			limited = tls.NewListener(limited, http1(n.cfg.TLS))
		}
		err := s.Serve(limited)
		if !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve HTTP: %w", err))
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), n.callsTime())
		defer cancel()
		if s.Shutdown(ctx) != nil {
			if err := s.Close(); err != nil {
				n.cfg.Logger.Warn("HTTP port not closed in good order", "error", err)
			}
		}
		<-served
	}
}

// http1 is cfg for a port that speaks HTTP/1 alone: a client that is offered h2
// as well takes that.
func http1(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.NextProtos = []string{"http/1.1"}
	if current := cfg.GetConfigForClient; current != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := current(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			chosen = chosen.Clone()
			chosen.NextProtos = []string{"http/1.1"}
			return chosen, nil
		}
	}
	return cfg
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
		mux.Handle("GET /metrics", n.guarded(promhttp.HandlerFor(n.cfg.Gatherer, promhttp.HandlerOpts{}).ServeHTTP))
	}
	mux.Handle("/debug/pprof/", n.guarded(pprof.Index))
	mux.Handle("/debug/pprof/cmdline", n.guarded(pprof.Cmdline))
	mux.Handle("/debug/pprof/profile", n.guarded(pprof.Profile))
	mux.Handle("/debug/pprof/symbol", n.guarded(pprof.Symbol))
	mux.Handle("/debug/pprof/trace", n.guarded(pprof.Trace))
	return mux
}

// guarded shows a page to those whom Access lets in.
func (n *Node) guarded(page http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := n.cfg.Access.Check(r.TLS, r.Header.Values(access.Header)); err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			say(w, http.StatusUnauthorized, message(err))
			return
		}
		page(w, r)
	})
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	// A client that went away while it was told is none of our business.
	_, _ = fmt.Fprintln(w, text)
}
