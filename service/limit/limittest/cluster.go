package limittest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/mintreu/mintreu/service/db/dbtest/server"
)

// wait is how long a cluster may take to form or to mend, on a machine with other things to do.
const wait = 60 * time.Second

// Cluster is a Redis Cluster of one test: three masters, and a replica of each when asked for.
type Cluster struct {
	URL   string
	nodes []*node
}

type node struct {
	address string
	id      string
	process *Server
	client  *goredis.Client
}

// OwnCluster starts a cluster for one test and ends it with the test.
func OwnCluster(t testing.TB, replicas bool) *Cluster {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		missing(t, errors.Join(server.ErrMissing, err))
	}
	c := &Cluster{}
	n := 3
	if replicas {
		n = 6
	}
	for range n {
		c.nodes = append(c.nodes, startNode(t, program))
	}
	c.form(t)
	c.URL = "redis://" + c.nodes[0].address + "?addr=" + c.nodes[1].address + "&addr=" + c.nodes[2].address
	return c
}

// free returns a TCP port of this machine that nobody listens on. Somebody may before it is used: whoever starts a server on it asks who answers.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func startNode(t testing.TB, program string) *node {
	t.Helper()
	n := &node{}
	s := &Server{program: program, more: func() []string {
		return []string{"--cluster-port", free(t), "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"}
	}}
	s.first(t)
	n.address, n.process = s.address, s
	n.client = goredis.NewClient(&goredis.Options{Addr: n.address})
	t.Cleanup(func() { _ = n.client.Close() })
	id, err := n.client.Do(context.Background(), "CLUSTER", "MYID").Text()
	if err != nil {
		t.Fatal(err)
	}
	n.id = id
	return n
}

// form gives the first three nodes the slots and the others a master each, and returns when all agree.
func (c *Cluster) form(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	do := func(n *node, args ...any) error { return n.client.Do(ctx, args...).Err() }
	for i, n := range c.nodes {
		if i < 3 {
			if err := do(n, "CLUSTER", "ADDSLOTSRANGE", i*16384/3, (i+1)*16384/3-1); err != nil {
				t.Fatal(err)
			}
		}
		if err := do(n, "CLUSTER", "SET-CONFIG-EPOCH", i+1); err != nil {
			t.Fatal(err)
		}
		host, port, _ := net.SplitHostPort(c.nodes[0].address)
		bus, err := c.nodes[0].client.ConfigGet(ctx, "cluster-port").Result()
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if err := do(n, "CLUSTER", "MEET", host, port, bus["cluster-port"]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := 3; i < len(c.nodes); i++ {
		if !Eventually(wait, func() bool { return do(c.nodes[i], "CLUSTER", "REPLICATE", c.nodes[i-3].id) == nil }) {
			t.Fatal("a replica does not know its master")
		}
	}
	if !Eventually(wait, func() bool {
		for _, n := range c.nodes {
			info, err := n.client.ClusterInfo(ctx).Result()
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", len(c.nodes))) {
				return false
			}
		}
		for i := 3; i < len(c.nodes); i++ {
			info, err := c.nodes[i].client.Info(ctx, "replication").Result()
			if err != nil || !strings.Contains(info, "master_link_status:up") {
				return false
			}
		}
		return true
	}) {
		t.Fatal("the cluster does not form")
	}
}

// Now is the clock of the first node.
func (c *Cluster) Now(t testing.TB) time.Time {
	t.Helper()
	at, err := c.nodes[0].client.Time(context.Background()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// KillMaster ends the n-th master, of 0 to 2, at once.
func (c *Cluster) KillMaster(t testing.TB, n int) {
	t.Helper()
	c.nodes[n].process.Kill(t)
}

// Keys is how many keys each master holds.
func (c *Cluster) Keys(t testing.TB) (n [3]int64) {
	t.Helper()
	for i := range n {
		size, err := c.nodes[i].client.DBSize(context.Background()).Result()
		if err != nil {
			t.Fatal(err)
		}
		n[i] = size
	}
	return n
}
