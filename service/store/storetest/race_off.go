//go:build !race

package storetest

// slowdown is how much longer code takes than in the built program: not at all.
const slowdown = 1
