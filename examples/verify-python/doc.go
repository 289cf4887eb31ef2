// Package verifypython is an example in Python: mintreu.py reads signed documents strictly, evaluate.py decides as package eval does, and verify.py
// verifies a license file with both, or runs the vectors of sdk/testdata/vectors. Its tests run it.
package verifypython
