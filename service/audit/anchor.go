package audit

import (
	"context"
	"errors"
	"io"

	"github.com/mintreu/mintreu/service/blob"
)

// maxNote is the longest checkpoint that is read, in bytes.
const maxNote = 4 << 10

// AnchorIn reads the checkpoint that a [Sequencer] last copied to the blob store, "" when there is none yet. It is what
// [ServiceDeps.Anchor] wants.
func AnchorIn(files blob.Store) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		f, err := files.Open(ctx, blobLatest)
		if errors.Is(err, blob.ErrNotFound) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(io.LimitReader(f, maxNote))
		return string(text), errors.Join(err, f.Close())
	}
}
