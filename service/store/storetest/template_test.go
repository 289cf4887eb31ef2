package storetest

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Programs that share a directory take one file, which is there whole or not at all, also when many come first; a file of another schema is none
// of theirs.
func TestSharedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "other.db"), []byte("another schema"), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if file, err := sharedFile(dir); err != nil || !bytes.HasPrefix(file, []byte("SQLite format 3\x00")) {
				t.Errorf("%d bytes, %v", len(file), err)
			}
		})
	}
	wg.Wait()
	path := filepath.Join(dir, schemaName(t)+".db")
	left, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 2 {
		t.Errorf("the directory has %v, %v", all, err)
	}
	if file, err := sharedFile(dir); err != nil || !bytes.Equal(file, left) {
		t.Errorf("who comes later does not take what is there: %d bytes, %v", len(file), err)
	}
	if err := os.WriteFile(path, []byte("taken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if file, err := sharedFile(dir); err != nil || string(file) != "taken" {
		t.Errorf("it is made anew: %d bytes, %v", len(file), err)
	}
	if _, err := sharedFile(filepath.Join(dir, "missing")); err == nil {
		t.Error("a directory that is not there was no fault")
	}
}
