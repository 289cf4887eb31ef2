package license

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
)

// resignBatch is how many tokens are signed again in one transaction, which on SQLite keeps every other writer waiting.
const resignBatch = 200

var _ keyring.Documents = (*Service)(nil)

// CountSigned implements [keyring.Documents].
func (s *Service) CountSigned(ctx context.Context, kid, after string) (n int64, next string, err error) {
	return s.Tokens.CountSigned(ctx, kid, after)
}

// SignAgain implements [keyring.Documents]: the current tokens of licenses that are not revoked are signed again under the same jti.
// One that was signed by somebody else meanwhile is left as it is, so that each is signed exactly once.
func (s *Service) SignAgain(ctx context.Context, kid, after string, keep func(ctx context.Context, b keyring.Batch) error) error {
	list, err := s.Tokens.SignedBy(ctx, kid, after, resignBatch)
	if err != nil {
		return err
	}
	b := keyring.Batch{}
	if len(list) > 0 {
		b.Last = list[len(list)-1].Token.JTI
	}
	signed, err := s.signAll(ctx, list, kid)
	if err != nil {
		return err
	}
	b.Failed = int64(len(list) - len(signed))
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		b := b
		if b.Done, err = s.Tokens.ResignTokens(ctx, signed, kid); err != nil {
			return err
		}
		return keep(ctx, b)
	})
}

// errStale says that this process still signs with the key whose documents are to be signed again.
var errStale = errors.New("license: the active key is the revoked one")

// signAll signs the tokens of licenses on all processors. A license that cannot be signed is told in the log and left out.
func (s *Service) signAll(ctx context.Context, list []License, revoked string) ([]Token, error) {
	good := make([]bool, len(list))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				l := &list[i]
				prior := priorDigest(l.Token.Text)
				if err := s.sign(ctx, l); err != nil {
					s.Logger.ErrorContext(ctx, "license cannot be signed again", "license", l.ID, "error", err)
					continue
				}
				l.Token.Prior, good[i] = prior, true
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]Token, 0, len(list))
	for i := range list {
		if !good[i] {
			continue
		}
		if list[i].Token.KID == revoked {
			return nil, errStale
		}
		out = append(out, list[i].Token)
	}
	return out, nil
}

// priorDigest is what is remembered of a token's text when another takes its place: 16 bytes of its SHA-256, in hex.
func priorDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// byPrior finds what a token speaks for that had this very text under a key that is trusted no more, as find does. The digest proves that the
// text was ours; its signature proves nothing.
func (s *Service) byPrior(ctx context.Context, text string) (License, string, error) {
	parts := strings.Split(text, ".")
	var claims struct {
		JTI string `json:"jti"`
	}
	if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || json.Unmarshal(payload, &claims) != nil || !licensing.ValidID("tok", claims.JTI) {
		return License{}, "", licensing.ErrNotFound
	}
	ours, err := s.Tokens.WasText(ctx, claims.JTI, priorDigest(text))
	if err == nil && !ours {
		err = licensing.ErrNotFound
	}
	if err != nil {
		return License{}, "", err
	}
	return s.byToken(ctx, claims.JTI)
}
