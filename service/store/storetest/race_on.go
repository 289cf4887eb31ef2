//go:build race

package storetest

// slowdown is how much longer code takes under the race detector, which costs it two to twenty times.
const slowdown = 10
