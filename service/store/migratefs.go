package store

import (
	"bytes"
	"io"
	"io/fs"
	"slices"
	"time"
)

// memory is a flat, read-only file system of migrations held in memory.
type memory map[string][]byte

var _ fs.ReadDirFS = memory(nil)

// Open implements [fs.FS].
func (m memory) Open(name string) (fs.File, error) {
	if name == "." {
		entries, err := m.ReadDir(name)
		return &openDir{entries: entries}, err
	}
	text, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &openFile{Reader: bytes.NewReader(text), info: fileInfo{name, int64(len(text)), false}}, nil
}

// ReadDir implements [fs.ReadDirFS].
func (m memory) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "." {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	entries := make([]fs.DirEntry, 0, len(m))
	for name, text := range m {
		entries = append(entries, fs.FileInfoToDirEntry(fileInfo{name, int64(len(text)), false}))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return bytes.Compare([]byte(a.Name()), []byte(b.Name())) })
	return entries, nil
}

type openFile struct {
	*bytes.Reader
	info fileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct{ entries []fs.DirEntry }

func (d *openDir) Stat() (fs.FileInfo, error) { return fileInfo{".", 0, true}, nil }
func (d *openDir) Read([]byte) (int, error)   { return 0, io.EOF }
func (d *openDir) Close() error               { return nil }
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.entries) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.entries) {
		n = len(d.entries)
	}
	out := d.entries[:n]
	d.entries = d.entries[n:]
	return out, nil
}

type fileInfo struct {
	name string
	size int64
	dir  bool
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) IsDir() bool        { return i.dir }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) Sys() any           { return nil }
func (i fileInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
