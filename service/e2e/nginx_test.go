package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

// nginxPart is the block of the guide that protects an API with nginx, as readers copy it.
func nginxPart(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../web/guide/docs/protect.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```nginx\n")
	part, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("the guide has no block for nginx")
	}
	return part
}

// forwarded calls an API behind a proxy, and forwarded.header are fields beside the credential.
func forwarded(t *testing.T, method, url, key string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

// TestA13_A19_BehindNginx: a real nginx with the lines of the guide lets a good key through and tells the API whose it is, but never the
// key; it refuses strangers, missing scopes, and addresses that a key is not for, whatever the caller writes into X-Forwarded-For; beyond the
// limit it answers 429 with Retry-After, and 503 while nobody can be asked.
func TestA13_A19_BehindNginx(t *testing.T) {
	t.Parallel()
	program := "/usr/sbin/nginx" // where Debian has it, which is not on everybody's PATH
	if _, err := os.Stat(program); err != nil {
		var missing error
		if program, missing = exec.LookPath("nginx"); missing != nil {
			t.Fatalf("nginx is needed: %v; \"dev test\" installs it", missing)
		}
	}
	s := newSite(t, siteOptions{}, app.Config{DataDir: shortDir(t)}, 1)
	id, key := s.issue(t, 2, "closed")
	_, fenced := s.issueWith(t, map[string]any{"allow_from": []string{"192.0.2.0/24"}})
	_, narrow := s.issueWith(t, map[string]any{"scopes": []string{"notes:write"}})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "key %s owner %s authorization %q", r.Header.Get("X-Mintreu-Key"), r.Header.Get("X-Mintreu-Owner"), r.Header.Get("Authorization"))
	}))
	t.Cleanup(api.Close)
	dir, addr, deaf := shortDir(t), freeAddr(t), freeAddr(t)
	replica := strings.TrimPrefix(s.replicas[0].LocalURL(), "http://")
	asks := func(whom string) string {
		return strings.NewReplacer("127.0.0.1:8080", whom, "127.0.0.1:3000", strings.TrimPrefix(api.URL, "http://"), "env=live", "env=test").Replace(nginxPart(t))
	}
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	server { listen %[2]s;
%[3]s
	}
	server { listen %[4]s;
%[5]s
	}
}`, dir, addr, asks(replica), deaf, asks("127.0.0.1:1"))
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, nil, program, "-p", dir, "-c", file, "-e", "stderr")
	url := "http://" + addr + "/notes?page=2"
	eventually(t, "nginx to answer a stranger with 401", 2*time.Minute, func() bool {
		status, _, _ := forwarded(t, "GET", url, "")
		return status == http.StatusUnauthorized
	})
	for i, method := range []string{"GET", "POST"} {
		status, body, header := forwarded(t, method, url, key)
		if status != http.StatusOK || !strings.Contains(body, "key "+id+" owner cus_") || !strings.Contains(body, `authorization ""`) || !strings.Contains(header.Get("RateLimit"), fmt.Sprintf(`"rate";r=%d`, 1-i)) {
			t.Fatalf("a good key: %d %s %v", status, body, header)
		}
	}
	if status, _, header := forwarded(t, "GET", url, key); status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || header.Get("RateLimit") == "" {
		t.Errorf("a spent key: %d %v", status, header)
	}
	for _, spoof := range []string{"", "192.0.2.7", "192.0.2.7, 127.0.0.1"} {
		if status, body, _ := forwarded(t, "GET", url, fenced, "X-Forwarded-For", spoof); status != http.StatusForbidden {
			t.Errorf("from another network, saying %q: %d %s", spoof, status, body)
		}
	}
	if status, body, header := forwarded(t, "GET", url, narrow); status != http.StatusForbidden || strings.Contains(body, "authorization") || header.Get("RateLimit") != "" {
		t.Errorf("a key without the scope: %d %s %v", status, body, header)
	}
	for _, who := range []string{key, narrow, ""} {
		if status, body, _ := forwarded(t, "GET", "http://"+deaf+"/notes", who); status != http.StatusServiceUnavailable || strings.Contains(body, "authorization") {
			t.Errorf("while nobody can be asked: %d %s", status, body)
		}
	}
	if status, _, _ := forwarded(t, "GET", "http://"+addr+"/_mintreu", key); status != http.StatusNotFound {
		t.Errorf("the question itself, from outside: %d", status)
	}
}

// TestForwardAuthByEnvoy: a proxy that keeps the method and appends the path of what it holds gets the answer of the operation.
func TestForwardAuthByEnvoy(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{}, app.Config{DataDir: shortDir(t)}, 1)
	_, key := s.issue(t, 100, "closed")
	base := s.replicas[0].LocalURL() + "/v1/keys/authorize/"
	for _, c := range []struct {
		method, path, ask string
		want              int
	}{
		{"GET", "notes", "env=test", 200}, {"POST", "notes/1?key=x&page=2", "env=test&scope=notes:read", 200}, {"DELETE", "", "", 200},
		{"PUT", "notes", "env=live", 403}, {"GET", "notes", "scope=notes:write", 403},
	} {
		if status, body, header := forwarded(t, c.method, base+c.path, key, "X-Mintreu-Ask", c.ask); status != c.want || header.Get("X-Mintreu-Owner") == "" && c.want == 200 {
			t.Errorf("%s %s asking %s: %d %s", c.method, c.path, c.ask, status, body)
		}
	}
	if status, _, _ := forwarded(t, "POST", base+"notes", "", "X-Mintreu-Ask", "env=test"); status != http.StatusUnauthorized {
		t.Errorf("a stranger: %d", status)
	}
}
