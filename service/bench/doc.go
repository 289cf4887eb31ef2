// Package bench holds the benchmarks of what products wait for: verifying a license token beside the raw signature, verifying an API key,
// and counting a limit in process and on Redis. Figures mean something only beside others of the same run, so each group has a
// base line named "base"; `go run ./service/cmd/dev bench` prints the ratios.
package bench
