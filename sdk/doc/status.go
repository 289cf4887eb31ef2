package doc

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
)

// StatusListSize is how many indexes a status list has.
const StatusListSize = 131072

// Values of a token in a status list.
const (
	StatusValid     byte = 0
	StatusInvalid   byte = 1 // revoked, or replaced by another token
	StatusSuspended byte = 2
)

// StatusBits is the content of a status list: two bits an index, the lowest
// bits of a byte first. The zero value has every index valid. It is not safe
// for concurrent use while it is changed.
type StatusBits struct {
	raw [StatusListSize / 4]byte
}

// Get returns the status at an index; one that is out of range is invalid.
func (b *StatusBits) Get(idx int64) byte {
	if idx < 0 || idx >= StatusListSize {
		return StatusInvalid
	}
	return b.raw[idx/4] >> (idx % 4 * 2) & 3
}

// Set changes the status at an index and reports whether index and status are
// in range; otherwise it changes nothing.
func (b *StatusBits) Set(idx int64, status byte) bool {
	if idx < 0 || idx >= StatusListSize || status > 3 {
		return false
	}
	shift := idx % 4 * 2
	b.raw[idx/4] = b.raw[idx/4]&^(3<<shift) | status<<shift
	return true
}

// Encode returns the list as it stands in a StatusList.
func (b *StatusBits) Encode() StatusListBits {
	var buf bytes.Buffer
	w, _ := zlib.NewWriterLevel(&buf, zlib.BestCompression)
	w.Write(b.raw[:]) // a bytes.Buffer takes everything
	w.Close()
	return StatusListBits{Bits: 2, List: b64.EncodeToString(buf.Bytes())}
}

// Bits inflates the list of a verified StatusList. It inflates at most the size
// of a full list, and refuses, with ErrPayload, anything longer or broken. A
// shorter list is taken: the indexes beyond its end are invalid in it.
func (s *StatusList) Bits() (*StatusBits, error) {
	raw, ok := decode64(s.List.List)
	if !ok {
		return nil, fmt.Errorf("%w: status list is not base64url", ErrPayload)
	}
	z, err := zlib.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: status list: %w", ErrPayload, err)
	}
	defer z.Close()
	b := new(StatusBits)
	n, err := io.ReadFull(z, b.raw[:])
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%w: status list: %w", ErrPayload, err)
	}
	for i := n; i < len(b.raw); i++ {
		b.raw[i] = 0x55
	}
	if more, err := z.Read(make([]byte, 1)); more > 0 || err != io.EOF {
		return nil, fmt.Errorf("%w: status list is too long or broken", ErrPayload)
	}
	return b, nil
}
