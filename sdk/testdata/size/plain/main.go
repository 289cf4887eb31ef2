// Command plain is a program that serves and calls by net/http, to measure what the SDK adds to one.
package main

import (
	"log"
	"net/http"
	"os"
)

func main() {
	if res, err := http.Get(os.Args[2]); err == nil {
		res.Body.Close()
	}
	log.Fatal(http.ListenAndServe(os.Args[1], http.NotFoundHandler()))
}
