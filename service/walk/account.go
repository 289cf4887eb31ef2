package walk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// password is that of the walk's customer.
const password = "a walk along the golden path"

// field finds the token of a form, which makes that it is taken once.
var field = regexp.MustCompile(`name="once" value="([^"]+)"`)

// form opens a page, fills its form and sends it.
func (w *walker) form(ctx context.Context, page string, values url.Values) (answer, error) {
	shown, err := w.fetch(ctx, http.MethodGet, page, nil)
	if err != nil {
		return answer{}, err
	}
	if once := field.FindStringSubmatch(shown.body); once != nil {
		values.Set("once", once[1])
	}
	return w.fetch(ctx, http.MethodPost, page, values)
}

// signUp makes an account as a visitor does: on the pages, with the link that is mailed.
func (w *walker) signUp(ctx context.Context) (string, error) {
	w.email = "ada-" + strings.ToLower(rand.Text()[:8]) + "@example.com"
	if _, err := w.form(ctx, w.BaseURL+"/sign-up", url.Values{"email": {w.email}, "name": {"Ada"}}); err != nil {
		return "", err
	}
	link, err := w.mailed(ctx, "/confirm/")
	if err != nil {
		return "", err
	}
	set, err := w.form(ctx, link, url.Values{"password": {password}, "repeat": {password}})
	if err != nil {
		return "", err
	}
	if set.status != http.StatusSeeOther {
		return "", fmt.Errorf("setting the password answered %d", set.status)
	}
	in, err := w.form(ctx, w.BaseURL+"/sign-in", url.Values{"email": {w.email}, "password": {password}})
	if err != nil {
		return "", err
	}
	for _, c := range (&http.Response{Header: in.header}).Cookies() {
		if strings.HasSuffix(c.Name, "mintreu-session") && c.Value != "" {
			w.session = c.Value
		}
	}
	if in.status != http.StatusSeeOther || w.session == "" {
		return "", fmt.Errorf("signing in answered %d without a session", in.status)
	}
	return w.email + " signed up, opened the mailed link, chose a password and signed in", nil
}

// mailed waits for the first link to a page in a mail to the customer, as it is kept where there is no mail server.
func (w *walker) mailed(ctx context.Context, page string) (string, error) {
	link := regexp.MustCompile(`https?://[^\s"<>]+` + regexp.QuoteMeta(page) + `[^\s"<>]+`)
	found := ""
	err := wait(ctx, func() error {
		var list struct {
			Items []struct {
				Text string `json:"text"`
			} `json:"items"`
		}
		if err := w.Operator(ctx, http.MethodGet, "/v1/mails?to="+url.QueryEscape(w.email), nil, &list); err != nil {
			return err
		}
		for _, m := range list.Items {
			if found = link.FindString(m.Text); found != "" {
				return nil
			}
		}
		return errNotYet
	})
	if errors.Is(err, errNotYet) {
		err = fmt.Errorf("no mail to %s was kept with a link to %s; mail that an SMTP server takes cannot be read here: %w", w.email, page, err)
	}
	return found, err
}

// as is the header of a call by the walk's customer, or by nobody for one who did not sign up.
func (w *walker) as() http.Header {
	if w.session == "" {
		return nil
	}
	return http.Header{"Authorization": {"Bearer " + w.session}}
}

// ticket asks for help and is answered.
func (w *walker) ticket(ctx context.Context) (string, error) {
	var asked struct {
		ID     string `json:"id"`
		Number string `json:"number"`
	}
	if err := w.post(ctx, "/v1/tickets", w.as(), map[string]any{"subject": "Where are my notes kept?", "body": "I cannot find the folder.", "license": w.license}, &asked); err != nil {
		return "", err
	}
	var seen struct {
		Version  int64  `json:"version"`
		Status   string `json:"status"`
		Messages []struct {
			From string `json:"from"`
			Body string `json:"body"`
		} `json:"messages"`
	}
	if err := w.Operator(ctx, http.MethodGet, "/v1/tickets/"+asked.ID, nil, &seen); err != nil {
		return "", err
	}
	const reply = "In the folder Notes of your home directory."
	if err := w.Operator(ctx, http.MethodPost, "/v1/tickets/"+asked.ID+"/answers", map[string]any{"version": seen.Version, "body": reply, "status": "solved"}, nil); err != nil {
		return "", err
	}
	if _, err := w.get(ctx, "/v1/tickets/"+asked.ID, w.as(), &seen); err != nil {
		return "", err
	}
	if n := len(seen.Messages); n < 2 || seen.Messages[n-1].From != "staff" || seen.Messages[n-1].Body != reply || seen.Status != "solved" {
		return "", fmt.Errorf("the customer sees %d messages of the ticket, which is %s", n, seen.Status)
	}
	return "ticket " + asked.Number + " asked, answered and solved; the answer was mailed", nil
}
