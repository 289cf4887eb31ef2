// Package blobtest is the conformance suite of blob stores, and a private S3-compatible server to run it on. [Run] holds for every
// store alike; what is particular to one is tested beside it.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/blob"
)

// Run holds a store against what [blob.Store] promises.
func Run(t *testing.T, s blob.Store) {
	t.Helper()
	replaced(t, s)
	large(t, s)
	absent(t, s)
	names(t, s)
}

func read(t *testing.T, s blob.Store, name string) []byte {
	t.Helper()
	f, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(f)
	if err != nil || int64(len(text)) != f.Size() {
		t.Fatalf("read %s: %d bytes of %d, %v", name, len(text), f.Size(), err)
	}
	return text
}

// replaced: the last put counts, and one that fails leaves what was there.
func replaced(t *testing.T, s blob.Store) {
	t.Helper()
	for _, text := range []string{"one", "two"} {
		if err := s.Put(t.Context(), "a/b/c.txt", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("broken")
	if _, err := s.PutFrom(t.Context(), "a/b/c.txt", io.MultiReader(bytes.NewReader(make([]byte, 20<<20)), failing{broken})); err == nil {
		t.Error("a broken reader was taken")
	}
	if text := read(t, s, "a/b/c.txt"); string(text) != "two" {
		t.Errorf("%d bytes are left after a failed put", len(text))
	}
}

type failing struct{ err error }

// Read implements [io.Reader].
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// large: content of several parts comes back whole, and from any place.
func large(t *testing.T, s blob.Store) {
	t.Helper()
	content := make([]byte, 33<<20+7)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(content)
	n, err := s.PutFrom(t.Context(), "large.bin", bytes.NewReader(content))
	if err != nil || n != int64(len(content)) {
		t.Fatalf("put %d bytes, %v", n, err)
	}
	if !bytes.Equal(read(t, s, "large.bin"), content) {
		t.Error("large content came back otherwise")
	}
	f, err := s.Open(t.Context(), "large.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, at := range []int64{20 << 20, 0, 33<<20 - 1, 5} {
		got := make([]byte, 8)
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, content[at:at+8]) {
			t.Errorf("at %d: %x, %v", at, got, err)
		}
	}
	if _, err := f.Seek(-3, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(f); err != nil || !bytes.Equal(rest, content[len(content)-3:]) {
		t.Errorf("the end: %x, %v", rest, err)
	}
}

// absent: what is not there is not found, and deleting it is no error.
func absent(t *testing.T, s blob.Store) {
	t.Helper()
	for range 2 {
		if err := s.Delete(t.Context(), "large.bin"); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"large.bin", "never", "a/b"} {
		if _, err := s.Open(t.Context(), name); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// names: a name that is not clean is refused by every method.
func names(t *testing.T, s blob.Store) {
	t.Helper()
	for _, name := range []string{"", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", `..\x`, "a\x00b", "..%2fx", "a/", ".hidden", "a/.b"} {
		_, opened := s.Open(t.Context(), name)
		_, streamed := s.PutFrom(t.Context(), name, bytes.NewReader(nil))
		for _, err := range []error{opened, streamed, s.Put(t.Context(), name, nil), s.Delete(t.Context(), name)} {
			if !errors.Is(err, blob.ErrName) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

// S3 starts a private S3-compatible server (versitygw) and opens a bucket of it. Without the program the test is skipped, or fails when
// CI=true.
func S3(t *testing.T) blob.S3Config {
	t.Helper()
	program, err := exec.LookPath("versitygw")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("versitygw is not installed")
		}
		t.Skip("versitygw is not installed; go install github.com/versity/versitygw/cmd/versitygw@latest")
	}
	dir := t.TempDir()
	for _, sub := range []string{"root/bucket", "meta", "iam"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	address := freeAddress(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--port", address, "--access", "testkey", "--secret", "testsecret", "--region", "us-east-1", "--quiet",
		"posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "root"))
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	return blob.S3Config{Endpoint: "http://" + address, Region: "us-east-1", Bucket: "bucket", KeyID: "testkey", Secret: "testsecret"}
}

// OpenS3 opens a bucket of a private server below a prefix, once the server answers.
func OpenS3(t *testing.T, prefix string) blob.Store {
	t.Helper()
	c := S3(t)
	c.Prefix = prefix
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		var s *blob.S3
		if s, err = blob.OpenS3(t.Context(), c); err == nil {
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
	}
	t.Fatal(err)
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "127.0.0.1:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
