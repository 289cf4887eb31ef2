// Package peer holds the benchmarks that set the limiter beside another library's. It is a module of its own, so that what it compares with
// is no dependency of the product. `go run ./service/cmd/dev bench` runs it with the others.
package peer
