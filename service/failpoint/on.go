//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Enabled reports whether this build has failpoints.
const Enabled = true

// The environment variables that say what to do.
const (
	Variable     = "MINTREU_FAILPOINT"
	WhenVariable = "MINTREU_FAILPOINT_WHEN"
	LogVariable  = "MINTREU_FAILPOINT_LOG"
)

type action struct {
	verb  string // kill, error, sleep
	sleep time.Duration
	at    int // the hit that acts, 0 for every one
	hits  int
}

// plan is read from the environment once, at the first hit.
var plan = sync.OnceValue(func() *points {
	p, err := parse(os.Getenv(Variable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	p.when, p.log = os.Getenv(WhenVariable), os.Getenv(LogVariable)
	return p
})

type points struct {
	mu    sync.Mutex
	named map[string]*action
	when  string // file without which nothing counts, "" for none
	log   string
}

// Hit marks a step and does what the environment says about it.
func Hit(name string) { plan().hit(name) }

func (p *points) hit(name string) {
	if p.when != "" {
		if _, err := os.Stat(p.when); err != nil {
			return
		}
	}
	p.mu.Lock()
	if p.log != "" {
		record(p.log, name)
	}
	a := p.named[name]
	act := false
	if a != nil {
		a.hits++
		act = a.at == 0 || a.at == a.hits
	}
	p.mu.Unlock()
	if !act {
		return
	}
	switch a.verb {
	case "kill":
		kill()
	case "sleep":
		time.Sleep(a.sleep)
	case "error":
		panic(Injected{name})
	}
}

// record appends the name to the log; it is durable enough for a killed process, whose written pages stay with the kernel.
func record(path, name string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	_, _ = f.WriteString(name + "\n")
	_ = f.Close()
}

// kill ends the process as SIGKILL does: nothing deferred runs, nothing is flushed.
func kill() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}

// parse reads "name=verb[:duration][@hit]", separated by commas.
func parse(text string) (*points, error) {
	p := &points{named: map[string]*action{}}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, rest, ok := strings.Cut(part, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("failpoint: %q: want name=verb", part)
		}
		a := &action{}
		rest, hit, counted := strings.Cut(rest, "@")
		if counted {
			n, err := strconv.Atoi(hit)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("failpoint: %q: the number after @ counts from 1", part)
			}
			a.at = n
		}
		verb, length, _ := strings.Cut(rest, ":")
		a.verb = verb
		switch verb {
		case "kill":
			if a.at == 0 {
				a.at = 1
			}
		case "error":
		case "sleep":
			d, err := time.ParseDuration(length)
			if err != nil {
				return nil, fmt.Errorf("failpoint: %q: %w", part, err)
			}
			a.sleep = d
		default:
			return nil, fmt.Errorf("failpoint: %q: want kill, error or sleep:<duration>", part)
		}
		p.named[name] = a
	}
	return p, nil
}
