package limittest

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db/dbtest/server"
)

// RedisEnv names the environment variable with the URL of a Redis server to test on. Without it the tests start a private one,
// once for each test program.
const RedisEnv = "MINTREU_TEST_REDIS_URL"

var shared struct {
	once sync.Once
	url  string
	err  error
}

// Redis returns the URL of the server under test, shared by the tests of a program: use a prefix of your own. When there is none
// it skips the test, or fails it when CI=true.
func Redis(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if shared.url = os.Getenv(RedisEnv); shared.url == "" {
			shared.url, _, shared.err = server.StartRedis(ctx)
		}
	})
	missing(t, shared.err)
	return shared.url
}

func missing(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, server.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skipf("Redis is missing, so nothing was tested on it: %v; install it or set %s", err, RedisEnv)
	}
	if err != nil {
		t.Fatalf("Redis is needed: %v; install it or set %s", err, RedisEnv)
	}
}

// Server is a Redis process of one test, which may kill, pause and restart it. It keeps nothing on disk.
type Server struct {
	URL     string
	address string
	program string
	process *exec.Cmd
}

// OwnRedis starts a Redis process for one test and ends it with the test.
func OwnRedis(t testing.TB) *Server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		missing(t, errors.Join(server.ErrMissing, err))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{address: l.Addr().String(), program: program}
	s.URL = "redis://" + s.address + "/0"
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
	t.Cleanup(func() { s.end() })
	return s
}

// Start starts the process, empty, on the address it always has, and returns when it takes connections.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	s.process = exec.Command(s.program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	if !Eventually(10*time.Second, func() bool {
		c, err := net.DialTimeout("tcp", s.address, time.Second)
		if err != nil {
			return false
		}
		return c.Close() == nil
	}) {
		t.Fatalf("redis on port %s does not answer", strconv.Quote(port))
	}
}

// Kill ends the process at once, with everything it knew.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) end() error {
	if s.process == nil {
		return nil
	}
	err := s.process.Process.Kill()
	_ = s.process.Wait() // it was killed; that is no news
	s.process = nil
	return err
}

// Pause stops the process without closing its connections: a black hole. Resume lets it go on.
func (s *Server) Pause(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Resume undoes Pause.
func (s *Server) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// Eventually calls ok until it says yes, for at most d, and reports whether it did.
func Eventually(d time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(d)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
}
