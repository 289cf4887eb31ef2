package checkout

import (
	"context"
	"strings"
)

// packKeys writes revealed keys as the one text that a replay of the Idempotency-Key is answered from.
func packKeys(keys []RevealedKey) string {
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(k.ID + " " + k.Key + "\n")
	}
	return b.String()
}

// RevealAgain answers the replay of a reveal within the ten minutes for which its keys are kept, with no keys afterwards.
func (s *Service) RevealAgain(_ context.Context, _, secret string) (Revealed, error) {
	out := Revealed{Keys: []RevealedKey{}}
	for line := range strings.Lines(secret) {
		if id, key, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			out.Keys = append(out.Keys, RevealedKey{ID: id, Key: key})
		}
	}
	return out, nil
}
