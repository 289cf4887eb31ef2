// Command licensed is plain with all of the SDK.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/guard"
)

func main() {
	if res, err := http.Get(os.Args[2]); err == nil {
		res.Body.Close()
	}
	ctx := context.Background()
	client, err := sdk.New(sdk.Config{BaseURL: os.Args[2], Product: "editor", Version: "1.0", Roots: os.Args[3:]})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Activate(ctx, os.Args[1]); err != nil {
		log.Print(err)
	}
	if _, err := client.Install(ctx, os.Args[1]); err != nil {
		log.Print(err)
	}
	if _, err := client.Update(ctx, ""); err != nil {
		log.Print(err)
	}
	if err := client.Report("pages", client.Limit("pages")); err != nil {
		log.Print(err)
	}
	go func() { log.Print(client.Run(ctx, nil)) }()
	keys, err := guard.New(guard.Config{BaseURL: os.Args[2]})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Args[1], keys.Require(guard.Feature(client, "export", http.NotFoundHandler()))))
}
