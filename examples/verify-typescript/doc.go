// Package verifytypescript is an example in TypeScript, on the npm package jose: mintreu.ts reads signed documents strictly, evaluate.ts decides
// as package eval does, and verify.ts verifies a license file with both, or runs the vectors of sdk/testdata/vectors. Its tests build and run it:
//
//	npm install && npm run build
//	node build/verify.js FILE --root=KEY --product SLUG
//
// Node.js from 22.18 on also runs verify.ts as it is.
package verifytypescript
