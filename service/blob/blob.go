// Package blob stores files by name: downloads, receipts, copies of the audit trail's signed heads. A [Store] is a URL: "file:"
// and a directory, the built-in one, or "s3:" and a bucket, which replicas share. Names are slash-separated, relative and clean; they never lead out of the store.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"strings"
)

// Errors that callers may act on.
var (
	// ErrNotFound is [fs.ErrNotExist]: nothing is stored under the name.
	ErrNotFound = fs.ErrNotExist
	// ErrName says that a name is not usable.
	ErrName = errors.New("blob: a name is a clean, relative path of letters, digits, dots, dashes and underscores")
)

// File is an opened blob. Size is in bytes.
type File interface {
	io.ReadSeekCloser
	Size() int64
}

// Store keeps blobs. It is safe for concurrent use. Put replaces what was there, wholly or not at all, and returns when the
// content is durable.
type Store interface {
	Put(ctx context.Context, name string, content []byte) error
	// PutFrom is Put for large content; it returns the number of bytes.
	PutFrom(ctx context.Context, name string, content io.Reader) (int64, error)
	Open(ctx context.Context, name string) (File, error)
	Delete(ctx context.Context, name string) error
	Close() error
}

// Open opens the store at a URL: "file:///var/lib/mintreu/blob", "file:blob", which is relative to the working directory, or
// "s3://bucket/prefix?endpoint=https://host&region=name" (see [S3Config]).
func Open(ctx context.Context, location string) (Store, error) {
	u, err := url.Parse(location)
	if err == nil && u.Scheme == "s3" {
		c, err := parseS3(u)
		if err != nil {
			return nil, err
		}
		return OpenS3(ctx, c)
	}
	if err != nil || u.Scheme != "file" || u.Host != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("blob: %q: want file: and a directory, or s3://bucket", location)
	}
	dir := u.Path
	if u.Opaque != "" {
		dir = u.Opaque
	}
	if dir == "" {
		return nil, fmt.Errorf("blob: %q names no directory", location)
	}
	return OpenDir(filepath.FromSlash(dir))
}

// valid checks a name.
func valid(name string) error {
	if name == "" || len(name) > 512 || path.Clean(name) != name || path.IsAbs(name) || !fs.ValidPath(name) || name == "." {
		return ErrName
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return ErrName
		}
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_', r == '/':
		default:
			return ErrName
		}
	}
	return nil
}
