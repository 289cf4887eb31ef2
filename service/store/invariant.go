package store

// Violation is a broken invariant: which, of what object, and what is wrong in words.
type Violation struct {
	Invariant string
	Object    string
	Text      string
}
