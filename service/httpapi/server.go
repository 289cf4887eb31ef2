package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// How long things on a public connection may take. A handler that must exceed writeTime (a large download) moves its own deadline
// with http.ResponseController. Bodies have their own time, in kit: a ReadTimeout here would end the context of long answers.
const (
	headerTime = 5 * time.Second
	writeTime  = 60 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 64 << 10
	drainTime  = 10 * time.Second
)

// ServerConfig says what a [Server] serves and where.
type ServerConfig struct {
	// Public is served on Addr, "host:port"; port 0 takes a free one.
	Public http.Handler
	Addr   string
	// Ops is served on OpsAddr; empty for no such listener.
	Ops     http.Handler
	OpsAddr string
	// Local is served on LocalListener (the operator's unix socket), both nil for none.
	Local         http.Handler
	LocalListener net.Listener
	// Readiness turns to not ready when the server begins to end.
	Readiness *Readiness
	Logger    *slog.Logger
	// Notice is how long the server goes on as before after it has become not ready, so that load balancers see it first.
	Notice time.Duration
	// Drain is how long requests under way may take to end; zero means ten seconds.
	Drain time.Duration
}

// Server owns the listeners of a process.
type Server struct {
	config  ServerConfig
	servers []*taker
	public  net.Addr
	ops     net.Addr
}

// Listen opens the listeners, so that addresses are known before anything is served. Close or Serve must follow.
func Listen(ctx context.Context, c ServerConfig) (*Server, error) {
	if c.Drain == 0 {
		c.Drain = drainTime
	}
	s := &Server{config: c}
	var err error
	if s.public, err = s.open(ctx, c.Addr, c.Public, writeTime); err != nil {
		return nil, err
	}
	if c.OpsAddr != "" {
		if s.ops, err = s.open(ctx, c.OpsAddr, c.Ops, 0); err != nil { // a CPU profile takes as long as it is asked to
			return nil, errors.Join(err, s.Close())
		}
	}
	if c.LocalListener != nil {
		s.add(c.LocalListener, c.Local, 0)
	}
	return s, nil
}

func (s *Server) open(ctx context.Context, addr string, h http.Handler, write time.Duration) (net.Addr, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	s.add(l, h, write)
	return l.Addr(), nil
}

func (s *Server) add(l net.Listener, h http.Handler, write time.Duration) {
	one := &taker{listener: l, ended: make(chan struct{}), open: map[net.Conn]http.ConnState{}}
	one.server = &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, WriteTimeout: write, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader, ConnState: one.observe,
		ErrorLog: slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelDebug), // what clients do wrong with TLS and framing
	}
	s.servers = append(s.servers, one)
}

// Addr is the public listener's address, OpsAddr the operator's (nil when there is none).
func (s *Server) Addr() net.Addr { return s.public }

// OpsAddr is the address of the operator's listener, nil when there is none.
func (s *Server) OpsAddr() net.Addr { return s.ops }

// Serve serves until ctx ends or a listener fails, then drains: readiness turns, new connections are refused after Notice, and
// requests under way have Drain to end before they are cut off. It returns nil after a clean end.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, len(s.servers))
	for _, one := range s.servers {
		go func() { failed <- one.serve() }()
	}
	var err error
	running := len(s.servers)
	select {
	case <-ctx.Done():
	case err = <-failed:
		running--
	}
	if s.config.Readiness != nil {
		s.config.Readiness.Drain()
	}
	if err == nil && s.config.Notice > 0 {
		timer := time.NewTimer(s.config.Notice)
		select {
		case <-timer.C:
		case err = <-failed:
			running--
			timer.Stop()
		}
	}
	err = errors.Join(err, s.drain())
	for range running {
		if e := <-failed; !errors.Is(e, http.ErrServerClosed) && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// drain ends the servers in the order in which they were opened, so that health and metrics answer to the last.
func (s *Server) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Drain)
	defer cancel()
	var errs []error
	for _, one := range s.servers {
		if err := one.drain(ctx); err != nil {
			errs = append(errs, fmt.Errorf("requests were cut off after %s: %w", s.config.Drain, err), one.server.Close())
		}
	}
	return errors.Join(errs...)
}

// Close closes the listeners at once. It is for a server that Serve was not called on.
func (s *Server) Close() error {
	var errs []error
	for _, one := range s.servers {
		errs = append(errs, one.listener.Close())
	}
	return errors.Join(errs...)
}
