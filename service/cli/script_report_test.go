package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mintreu/mintreu/sdk"
)

// report OUT KEY METER EVENTS… has a product's back end count usage, one batch for each number of events, each event worth 10: with the API key
// in a file, at the address that the program printed into OUT. AT is the quarter of an hour then.
func report(ts *testscript.TestScript, _ bool, args []string) {
	base := regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`).FindString(ts.ReadFile(args[0]))
	key := strings.TrimSpace(ts.ReadFile(args[1]))
	post := func(path string, in, out any) {
		text, err := json.Marshal(in)
		ts.Check(err)
		r, err := http.NewRequest(http.MethodPost, base+path, bytes.NewReader(text))
		ts.Check(err)
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		ts.Check(err)
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		ts.Check(err)
		if res.StatusCode/100 != 2 {
			ts.Fatalf("%s answered %d %s", path, res.StatusCode, body)
		}
		ts.Check(json.Unmarshal(body, out))
	}
	at := time.Now().Unix() / sdk.UsageBucket * sdk.UsageBucket
	ts.Setenv("AT", time.Unix(at, 0).UTC().Format(time.RFC3339))
	var source sdk.SourceResponse
	post(sdk.PathUsageSources, sdk.SourceRequest{Nonce: fmt.Sprintf("%016d", time.Now().UnixNano())}, &source)
	for i, text := range args[3:] {
		n, err := strconv.ParseInt(text, 10, 64)
		ts.Check(err)
		var out sdk.UsageResponse
		post(sdk.PathUsage, sdk.UsageRequest{Source: source.Source, Seq: int64(i + 1), Rows: []sdk.UsageRow{{Meter: args[2], At: at, Events: n, Sum: 10 * n, Max: 10}}}, &out)
	}
}
