package app

import (
	"context"
	"path/filepath"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/service/blob"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/limit"
)

// download makes releases and downloads. Files are in the installation's file store.
func (p *parts) download(context.Context) error {
	a, st := p.app, p.app.storage.store
	p.downloads = download.New(download.Deps{Store: st.Downloads(), Links: st.DownloadLinks(), Blobs: blob.Sized{Store: p.files}, Signer: p.keyring, Seal: a.storage.key,
		Throttle: limit.Throttle{Limiter: p.limiter}, Clock: a.config.Clock, IDs: a.config.IDs, Tx: st, Audit: p.audit, Switches: p.switches,
		BaseURL: a.config.BaseURL, Log: a.log, Alert: p.alert,
		Product: func(ctx context.Context, id string) (string, error) {
			product, err := st.Catalog().Product(ctx, id)
			return product.Slug, err
		},
		From: func(ctx context.Context) string {
			if ip := kit.ClientIP(ctx); ip.IsValid() {
				return ip.String()
			}
			return ""
		}})
	return nil
}

// openFiles opens the installation's file store.
func (c Config) openFiles(ctx context.Context) (blob.Store, error) {
	if c.Files == "" {
		return blob.OpenDir(filepath.Join(c.DataDir, "files"))
	}
	return blob.Open(ctx, c.Files)
}
