package httpapi

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// silence is how long a connection that was taken may go without its first request while the server drains.
const silence = time.Second

// taker is one listener with its server and the connections taken from it.
type taker struct {
	listener net.Listener
	server   *http.Server
	ended    chan struct{} // closed when nothing is taken any more

	mu   sync.Mutex
	open map[net.Conn]http.ConnState
}

// serve takes connections until the listener is closed.
func (s *taker) serve() error {
	defer close(s.ended)
	return s.server.Serve(s.listener)
}

// observe is the server's ConnState.
func (s *taker) observe(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(s.open, c)
		return
	}
	s.open[c] = state
}

// counts are how many connections are open, and how many of those have sent nothing yet.
func (s *taker) counts() (open, silent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range s.open {
		if state == http.StateNew {
			silent++
		}
	}
	return len(s.open), silent
}

// drain takes no more connections, answers the requests of those that were taken, and ends the server. http.Server.Shutdown alone
// would close, without an answer, a connection that was taken and whose request had not been read yet.
func (s *taker) drain(ctx context.Context) error {
	_ = s.listener.Close() // it may have failed before, which is why the server drains
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
	s.server.SetKeepAlivesEnabled(false)
	start := time.Now() // the peers' time, not the domain's
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		open, silent := s.counts()
		if open == 0 || open == silent && time.Since(start) > silence {
			break
		}
		select {
		case <-ctx.Done():
			return s.server.Shutdown(ctx)
		case <-tick.C:
		}
	}
	return s.server.Shutdown(ctx)
}
