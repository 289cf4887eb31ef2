package walk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
)

// The release that the walk publishes.
const (
	version = "1.0.0"
	file    = "acme-notes-1.0.0.zip"
)

// program is the content of its file: a hundred kilobytes that compress badly and are always the same.
func program() []byte {
	var out bytes.Buffer
	for sum := sha256.Sum256([]byte(file)); out.Len() < 100_000; sum = sha256.Sum256(sum[:]) {
		out.Write(sum[:])
	}
	return out.Bytes()
}

// publish uploads the release that customers download, as a build server would, unless an earlier walk has.
func (w *walker) publish(ctx context.Context) (string, error) {
	var list struct {
		Items []struct {
			Version string `json:"version"`
			State   string `json:"state"`
		} `json:"items"`
	}
	if err := w.Operator(ctx, http.MethodGet, "/v1/products/"+w.product.id+"/releases", nil, &list); err != nil {
		return "", err
	}
	for _, r := range list.Items {
		if r.Version == version && r.State == "published" {
			return version + " is published already", nil
		}
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := w.Operator(ctx, http.MethodPost, "/v1/products/"+w.product.id+"/releases", map[string]any{"version": version, "channel": "stable", "access": "license", "notes": "The first."}, &made); err != nil {
		return "", err
	}
	var machine struct {
		Token struct {
			ID string `json:"id"`
		} `json:"token"`
		Secret string `json:"secret"`
	}
	if err := w.Operator(ctx, http.MethodPost, "/v1/machine-tokens", map[string]any{"name": "build server of the walk", "scopes": []string{"downloads:write"}}, &machine); err != nil {
		return "", err
	}
	content := program()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, w.BaseURL+"/v1/releases/"+made.ID+"/files/"+file+"?platform=linux-amd64", bytes.NewReader(content))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	r.Header.Set("Authorization", "Bearer "+machine.Secret)
	r.Header.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	a, err := w.do(r)
	if err != nil {
		return "", err
	}
	if a.status != http.StatusCreated {
		return "", fmt.Errorf("the upload answered %d: %s", a.status, a.body)
	}
	if err := w.Operator(ctx, http.MethodPost, "/v1/releases/"+made.ID+"/publish", map[string]any{}, nil); err != nil {
		return "", err
	}
	if err := w.Operator(ctx, http.MethodPost, "/v1/machine-tokens/"+machine.Token.ID+"/revoke", map[string]any{"reason": "the walk needs it no more"}, nil); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %d bytes, with a signed manifest", file, len(content)), nil
}

// download fetches what the license covers, over a link as the customer's page gives it, and checks every byte.
func (w *walker) download(ctx context.Context) (string, error) {
	var shelf struct {
		Items []struct {
			Version string `json:"version"`
			Files   []struct {
				ID     string `json:"id"`
				Name   string `json:"name"`
				SHA256 string `json:"sha256"`
			} `json:"files"`
		} `json:"items"`
	}
	if _, err := w.get(ctx, "/v1/downloads?product="+slug, w.as(), &shelf); err != nil {
		return "", err
	}
	if len(shelf.Items) == 0 || len(shelf.Items[0].Files) == 0 {
		return "", fmt.Errorf("the license covers %d releases", len(shelf.Items))
	}
	offered := shelf.Items[0].Files[0]
	var link struct {
		URL string `json:"url"`
	}
	if err := w.post(ctx, "/v1/downloads/"+offered.ID+"/links", w.as(), map[string]any{}, &link); err != nil {
		return "", err
	}
	started, err := w.form(ctx, link.URL, url.Values{})
	if err != nil {
		return "", err
	}
	to, err := url.Parse(link.URL)
	if err != nil {
		return "", err
	}
	if to, err = to.Parse(started.header.Get("Location")); err != nil || started.status != http.StatusSeeOther {
		return "", fmt.Errorf("starting the download answered %d (%w)", started.status, err)
	}
	bytes, err := w.fetch(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(bytes.body))
	if got := hex.EncodeToString(sum[:]); got != offered.SHA256 || bytes.body != string(program()) {
		return "", fmt.Errorf("%d bytes with SHA-256 %s came; published is %s", len(bytes.body), got, offered.SHA256)
	}
	return fmt.Sprintf("%s, %d bytes, SHA-256 %s… as published", offered.Name, len(bytes.body), offered.SHA256[:12]), nil
}
