package blob_test

import (
	"testing"

	"github.com/mintreu/mintreu/service/blob"
	"github.com/mintreu/mintreu/service/blob/blobtest"
)

// Every store keeps the same promises: a directory, and a bucket of a real S3-compatible server.
func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("dir", func(t *testing.T) {
		t.Parallel()
		s, err := blob.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		blobtest.Run(t, s)
	})
	t.Run("s3", func(t *testing.T) {
		t.Parallel()
		blobtest.Run(t, blobtest.OpenS3(t, "installation"))
	})
}

// A location that names no store, or holds a credential that lists of processes would show, is refused.
func TestOpenRefusesWrongLocations(t *testing.T) {
	t.Parallel()
	for _, location := range []string{"", "file:", "file://host/x", "http://x/y", "s3:", "s3:///prefix", "s3://key:secret@bucket", "s3://bucket?endpoint=ftp://x", "s3://bucket?endpoint=https://x/path"} {
		if s, err := blob.Open(t.Context(), location); err == nil {
			_ = s.Close()
			t.Errorf("opened %q", location)
		}
	}
}
