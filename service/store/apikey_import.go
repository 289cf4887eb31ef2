package store

import (
	"context"
	"slices"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/db"
)

var _ apikey.ImportStore = (*apiKeys)(nil)

// KeyImports returns what is known of API keys that other systems issued.
func (s *Store) KeyImports() apikey.ImportStore { return &apiKeys{s} }

// KeysFrom implements [apikey.ImportStore].
func (s *apiKeys) KeysFrom(ctx context.Context, sources []string) (map[string]string, error) {
	out := make(map[string]string, len(sources))
	for part := range slices.Chunk(sources, 500) {
		args := []any{apikey.FromImport}
		marks := among(&args, part)
		rows, err := s.db.Query(ctx, `SELECT k.source_id, k.id FROM api_key k WHERE k.source_kind = $1 AND k.source_id IN (`+marks+`)`, args...)
		if err := pairs(rows, err, out, func(source string) string { return source }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// KeysByHead implements [apikey.ImportStore].
func (s *apiKeys) KeysByHead(ctx context.Context, heads [][]byte) (map[string]string, error) {
	out := make(map[string]string, len(heads))
	for part := range slices.Chunk(heads, 500) {
		var args []any
		marks := among(&args, part)
		rows, err := s.db.Query(ctx, `SELECT s.head, s.key_id FROM api_secret s WHERE s.head IN (`+marks+`)`, args...)
		if err := pairs(rows, err, out, func(head []byte) string { return string(head) }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pairs reads rows of a name and an id into out.
func pairs[T any](rows db.Rows, err error, out map[string]string, name func(T) string) error {
	_, err = db.Collect(rows, err, func(r db.Row) (struct{}, error) {
		var key T
		var id string
		err := r.Scan(&key, &id)
		out[name(key)] = id
		return struct{}{}, err
	})
	return err
}

// KeyNames reports whether there are a customer or organisation and a product that an API key is to be of.
func (s *Store) KeyNames(ctx context.Context, owner licensing.Owner, product string) (ownerThere, productThere bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM customer WHERE id = $1 UNION ALL SELECT 1 FROM organisation WHERE id = $1), EXISTS (SELECT 1 FROM product WHERE id = $2)`,
		string(owner), product).Scan(&ownerThere, &productThere)
	return ownerThere, productThere, err
}

// HasImported implements [apikey.ImportStore].
func (s *apiKeys) HasImported(ctx context.Context) (some bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM api_key k WHERE k.source_kind = $1)`, apikey.FromImport).Scan(&some)
	return some, err
}
