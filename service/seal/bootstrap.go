package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mintreu/mintreu/licensing"
)

// canary is a value sealed at the first start. A master key that does not open it is not this database's.
const (
	canarySetting = "seal.canary"
	canaryPlace   = "setting/seal.canary/value"
	canaryText    = "mintreu: this installation's master key opens this"
)

// Settings keeps small values in the database. Setting fails with [licensing.ErrNotFound] for a name that was never set;
// KeepSetting sets a value unless there is one and returns the value that stands.
type Settings interface {
	Setting(ctx context.Context, name string) ([]byte, error)
	KeepSetting(ctx context.Context, name string, value []byte) ([]byte, error)
}

// Why a start is refused.
var (
	// ErrWrongKey says that the key file is not the one under which this database was sealed.
	ErrWrongKey = errors.New("seal: this master key is not the one of this database")
	// ErrKeyMissing says that the database was sealed under a key whose file is not there.
	ErrKeyMissing = errors.New("seal: the master key file of this database is missing")
)

// Bootstrap opens the key file at path and proves that it is this database's. At the very first start, with neither a key file nor
// anything sealed, it creates the file. It never overwrites a file and changes nothing when it fails: a database that was
// sealed before is not given a new key.
func Bootstrap(ctx context.Context, path string, settings Settings) (*Key, error) {
	_, err := settings.Setting(ctx, canarySetting)
	sealed := err == nil
	if err != nil && licensing.KindOf(err) != licensing.NotFound {
		return nil, err
	}
	key, err := Load(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && sealed:
		return nil, fmt.Errorf("%w: put back %s; a new key could not open what is stored", ErrKeyMissing, path)
	case errors.Is(err, fs.ErrNotExist):
		if key, err = Create(path); errors.Is(err, fs.ErrExist) { // another process of this directory was first
			key, err = Load(path)
		}
	}
	if err != nil {
		return nil, err
	}
	return key, prove(ctx, key, settings)
}

// prove opens the canary, after sealing it if there is none.
func prove(ctx context.Context, key *Key, settings Settings) error {
	mine, err := key.Seal([]byte(canaryText), canaryPlace)
	if err != nil {
		return err
	}
	stands, err := settings.KeepSetting(ctx, canarySetting, mine)
	if err != nil {
		return err
	}
	text, err := key.Open(stands, canaryPlace)
	if err != nil {
		return fmt.Errorf("%w (the file holds key %s): %w", ErrWrongKey, key.ID(), err)
	}
	if !bytes.Equal(text, []byte(canaryText)) {
		return ErrWrongKey
	}
	return nil
}
