package storetest

import "os"

// Soak returns n, or long when the long forms of tests are wanted, as `dev soak` does: MINTREU_SOAK=1.
func Soak[T any](n, long T) T {
	if os.Getenv("MINTREU_SOAK") == "1" {
		return long
	}
	return n
}

// Proven returns few, or many when the whole proof is wanted, as `dev test` does: MINTREU_PROOF=1; or long: MINTREU_SOAK=1.
func Proven[T any](few, many, long T) T {
	if os.Getenv("MINTREU_PROOF") == "1" {
		few = many
	}
	return Soak(few, long)
}
