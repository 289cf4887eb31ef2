package blob

import (
	"context"
	"io"
)

// Sized is a [Store] whose files can be opened without naming this package's types, for packages that must not import it.
type Sized struct{ Store }

// OpenSized opens a blob and returns its size in bytes.
func (s Sized) OpenSized(ctx context.Context, name string) (io.ReadSeekCloser, int64, error) {
	f, err := s.Open(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	return f, f.Size(), nil
}
