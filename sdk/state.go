package sdk

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/mintreu/mintreu/sdk/eval"
)

// state is what a client remembers between runs. The documents in it are
// verified anew whenever they are loaded.
type state struct {
	Install    string        `json:"-"` // random, made once
	Marks      marks         `json:"marks"`
	License    string        `json:"license,omitempty"`
	Lease      string        `json:"lease,omitempty"`
	Activation string        `json:"activation,omitempty"`
	Keyset     string        `json:"keyset,omitempty"`
	KeysAt     int64         `json:"keys_at,omitempty"`    // when the keyset was fetched
	RootChain  []string      `json:"root_chain,omitempty"` // keysets that replaced the roots, oldest first
	StatusList string        `json:"status_list,omitempty"`
	TokenAt    int64         `json:"token_at,omitempty"` // when the current token was last asked for
	Refused    *eval.Finding `json:"refused,omitempty"`  // what the server said last, if it refused
	Asked      string        `json:"asked,omitempty"`    // the request of this machine that no file has answered yet
	Returned   string        `json:"returned,omitempty"` // what Return said last
	Online     string        `json:"online,omitempty"`   // nonce of the last activation that the server itself answered
}

const stateMagic = "mintreu-state 1"

// encode returns the text of the state: a line with the install id and the MAC,
// and the state as JSON.
func (s *state) encode(product string) ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s %s %x\n%s", stateMagic, s.Install, stateMAC(product, s.Install, body), body), nil
}

// decodeState reads what encode wrote. A text with any byte changed counts as
// absent: the answer is then a new, empty state and false. The MAC's key is no
// secret; it guards against accidents and casual edits, not against the owner
// of the machine.
func decodeState(product string, text []byte) (*state, bool) {
	head, body, ok := bytes.Cut(text, []byte("\n"))
	fields := bytes.Split(head, []byte(" "))
	if ok && len(text) <= maxState && len(fields) == 4 && string(bytes.Join(fields[:2], []byte(" "))) == stateMagic {
		install := string(fields[2])
		want := hex.EncodeToString(stateMAC(product, install, body))
		s := new(state)
		if hmac.Equal([]byte(want), fields[3]) && json.Unmarshal(body, s) == nil {
			s.Install = install
			return s, true
		}
	}
	var id [16]byte
	rand.Read(id[:]) // never fails
	return &state{Install: hex.EncodeToString(id[:])}, false
}

func stateMAC(product, install string, body []byte) []byte {
	k := hmac.New(sha256.New, []byte("mintreu state "+install))
	k.Write([]byte(product))
	m := hmac.New(sha256.New, k.Sum(nil))
	m.Write(body)
	return m.Sum(nil)
}
