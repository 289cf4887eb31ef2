package limittest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

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
	more    func() []string // options of each start
	process *exec.Cmd
	said    *bytes.Buffer // what the process writes; to be read when it has ended
}

// OwnRedis starts a Redis process for one test and ends it with the test.
func OwnRedis(t testing.TB) *Server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		missing(t, errors.Join(server.ErrMissing, err))
	}
	s := &Server{program: program, more: func() []string { return nil }}
	s.first(t)
	return s
}

// attempts is on how many ports a server is started before that is given up.
const attempts = 10

// first starts the process on a port of its own, on another when somebody else took it meanwhile, and ends it with the test.
func (s *Server) first(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		_ = s.end() // it may have been killed before
		if t.Failed() && s.said != nil {
			t.Logf("the redis on %s wrote:\n%s", s.address, tail(s.said.String()))
		}
	})
	var err error
	for range attempts {
		s.address = "127.0.0.1:" + free(t)
		s.URL = "redis://" + s.address + "/0"
		if err = s.start(t); err == nil {
			return
		}
		_ = s.end() // it could not start, which is told below
	}
	t.Fatal(err)
}

// Start starts the process, empty, on the address it always has, and returns when it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(t); err != nil {
		t.Fatal(err)
	}
}

// start returns when the process that answers on the address is the one it started. The error has what the process wrote.
func (s *Server) start(t testing.TB) error {
	t.Helper()
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return err
	}
	s.said = &bytes.Buffer{}
	s.process = exec.Command(s.program, append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, s.more()...)...)
	s.process.Stdout, s.process.Stderr = s.said, s.said
	if err := s.process.Start(); err != nil {
		s.process = nil
		return err
	}
	c := goredis.NewClient(&goredis.Options{Addr: s.address})
	defer func() { _ = c.Close() }()
	own, answer := "process_id:"+strconv.Itoa(s.process.Process.Pid)+"\r\n", ""
	if Eventually(wait, func() bool {
		answer, err = c.Info(context.Background(), "server").Result()
		return err == nil || s.ended()
	}) && strings.Contains(answer, own) {
		return nil
	}
	_ = s.end() // so that what it wrote can be read
	return fmt.Errorf("the redis on %s does not answer, or is another's: %v\n%s", s.address, err, tail(s.said.String()))
}

// tail is the end of what a process wrote.
func tail(text string) string { return text[max(len(text)-4000, 0):] }

// ended reports whether the process is no more than a name.
func (s *Server) ended() bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	_, after, _ := strings.Cut(string(text), ") ")
	return err == nil && strings.HasPrefix(after, "Z")
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
