package kittest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Load reads an OpenAPI document and fails the test when it is not a valid one.
func Load(tb testing.TB, document []byte) *openapi3.T {
	tb.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		tb.Fatalf("the OpenAPI document does not load: %v", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		tb.Fatalf("the OpenAPI document is not valid: %v", err)
	}
	return doc
}

// Validate wraps handler so that every exchange on a documented path is held against the OpenAPI document: a request that was
// answered with success must be one the document allows, and every answer must be one the document promises. What does not
// hold fails the test; the exchange itself goes on.
func Validate(tb testing.TB, document []byte, handler http.Handler) http.Handler {
	tb.Helper()
	router, err := legacy.NewRouter(Load(tb, document))
	if err != nil {
		tb.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, params, err := router.FindRoute(r)
		if err != nil {
			handler.ServeHTTP(w, r)
			return
		}
		var sent []byte
		if r.Body != nil {
			sent, _ = io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(sent))
		}
		input := &openapi3filter.RequestValidationInput{Request: r.Clone(context.Background()), PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
		input.Request.Body = io.NopCloser(bytes.NewReader(sent))
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		check(tb, input, route, rec)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

func check(tb testing.TB, input *openapi3filter.RequestValidationInput, route *routers.Route, rec *httptest.ResponseRecorder) {
	tb.Helper()
	name := route.Operation.OperationID
	if rec.Code < 300 {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			tb.Errorf("%s accepted a request that its document does not allow: %v", name, err)
		}
	}
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: rec.Code, Header: rec.Header(), Options: input.Options}
	answer.SetBodyBytes(rec.Body.Bytes())
	if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil && !strings.Contains(err.Error(), "no body") {
		tb.Errorf("%s answered %d with what its document does not promise: %v\n%.500s", name, rec.Code, err, rec.Body)
	}
}
