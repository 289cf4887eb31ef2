package audit

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Placed is a numbered row as it is now. Found is false when the row that the number names is gone.
type Placed struct {
	Num   int64
	ID    string
	Found bool
	Row   Row
}

// Reader reads the trail for verification. Lists are in order of number or size, after the given one.
type Reader interface {
	Head(ctx context.Context) (int64, error)
	Hashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error)
	PlacedAfter(ctx context.Context, num int64, limit int) ([]Placed, error)
	CheckpointsAfter(ctx context.Context, size int64, limit int) ([]Checkpoint, error)
	// Strays are rows with neither a number nor a place in the queue; WaitingRows those in the queue, whole.
	Strays(ctx context.Context, limit int) ([]string, error)
	WaitingRows(ctx context.Context, limit int) ([]Row, error)
}

// Fault is one thing that does not agree. Num is -1 when it has none.
type Fault struct {
	Num  int64  `json:"num" doc:"Number of the row, -1 when it has none."`
	Row  string `json:"row" doc:"Id of the row, empty when unknown."`
	What string `json:"what" doc:"What does not agree."`
}

// Report is what a verification found.
type Report struct {
	Size        int64   // numbered rows checked
	Waiting     int     // rows without a number that were checked, at most a batch
	Checkpoints int     // signed heads compared
	Root        string  // the root computed from the rows
	Faults      []Fault // at most maxFaults
}

// maxFaults is how many faults a report names; the first is the one that matters.
const maxFaults = 100

// Verify computes every leaf, every stored hash and every root anew and compares them with what is stored, with the signed
// checkpoints, and with anchors: checkpoints that were kept outside the database. key is the checkpoints' public key
// ([Sequencer.VerifierKey]). It reads only and may run on a live database. The error is about reading; what is wrong with the
// trail is in the report.
func Verify(ctx context.Context, r Reader, key string, anchors ...string) (Report, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return Report{}, err
	}
	size, err := r.Head(ctx)
	if err != nil {
		return Report{}, err
	}
	v := &verification{reader: r, known: note.VerifierList(verifier), size: size, roots: map[int64][]string{}}
	for _, anchor := range anchors {
		v.anchor(anchor)
	}
	for _, step := range []func(context.Context) error{v.rows, v.waiting, v.ahead} {
		if err := step(ctx); err != nil {
			return v.Report, err
		}
	}
	return v.Report, nil
}

type verification struct {
	Report
	reader   Reader
	known    note.Verifiers
	size     int64
	edge     []subtree          // the right edge of the tree over the rows so far
	roots    map[int64][]string // roots of anchors by size
	heads    []Checkpoint       // checkpoints read and not yet reached
	lastHead int64
	noHeads  bool
}

type subtree struct {
	level int
	hash  tlog.Hash
}

func (v *verification) fault(num int64, row, format string, args ...any) {
	if len(v.Faults) < maxFaults {
		v.Faults = append(v.Faults, Fault{Num: num, Row: row, What: fmt.Sprintf(format, args...)})
	}
}

// anchor takes in a checkpoint kept outside.
func (v *verification) anchor(text string) {
	tree, err := v.open(text)
	switch {
	case err != nil:
		v.fault(-1, "", "the anchor is not a checkpoint of this installation: %v", err)
	case tree.N > v.size:
		v.fault(v.size, "", "the trail ends at number %d, the anchor has seen %d rows: the tail was cut off", v.size-1, tree.N)
	default:
		v.roots[tree.N] = append(v.roots[tree.N], tree.Hash.String())
	}
}

func (v *verification) open(text string) (tlog.Tree, error) {
	n, err := note.Open([]byte(text), v.known)
	if err != nil {
		return tlog.Tree{}, err
	}
	return tlog.ParseTree([]byte(n.Text))
}

// rows walks the numbered rows in order.
func (v *verification) rows(ctx context.Context) error {
	next := int64(0)
	for next < v.size {
		placed, err := v.reader.PlacedAfter(ctx, next-1, batch)
		if err != nil {
			return err
		}
		if len(placed) == 0 {
			v.fault(next, "", "numbers %d to %d are gone", next, v.size-1)
			return nil
		}
		for _, p := range placed {
			if p.Num >= v.size {
				break
			}
			if p.Num != next {
				v.fault(next, "", "numbers %d to %d are gone", next, p.Num-1)
				return nil // nothing after a gap can agree
			}
			if err := v.row(ctx, p); err != nil {
				return err
			}
			next++
		}
		if last := placed[len(placed)-1].Num; last >= v.size {
			break
		}
	}
	v.Size, v.Root = next, v.root().String()
	return nil
}

// row checks one row, its hashes, and the heads that end with it.
func (v *verification) row(ctx context.Context, p Placed) error {
	leaf := p.Row.Hash()
	switch {
	case !p.Found:
		v.fault(p.Num, p.ID, "the row is gone")
		leaf = tlog.Hash{}
	case leaf != p.Row.Leaf:
		v.fault(p.Num, p.ID, "the row was altered: its content does not have its hash")
	}
	fresh := v.add(leaf)
	indexes := make([]int64, len(fresh))
	for i := range fresh {
		indexes[i] = tlog.StoredHashIndex(0, p.Num) + int64(i)
	}
	stored, err := v.reader.Hashes(ctx, indexes)
	if errors.Is(err, ErrHashMissing) {
		v.fault(p.Num, p.ID, "hashes of the tree are gone")
		stored, err = fresh, nil
	}
	if err != nil {
		return err
	}
	if p.Found && stored[0] != leaf {
		v.fault(p.Num, p.ID, "the row is not the one that was numbered %d: it was altered or moved", p.Num)
	}
	for i := 1; i < len(fresh); i++ {
		if stored[i] != fresh[i] && len(v.Faults) == 0 {
			v.fault(p.Num, p.ID, "the tree's hash %d does not follow from the rows", indexes[i])
		}
	}
	return v.reached(ctx, p.Num+1)
}

// add hangs a leaf into the tree and returns the hashes this completes, in the order in which they are stored.
func (v *verification) add(leaf tlog.Hash) []tlog.Hash {
	out := []tlog.Hash{leaf}
	node := subtree{0, leaf}
	for n := len(v.edge); n > 0 && v.edge[n-1].level == node.level; n = len(v.edge) {
		node = subtree{node.level + 1, tlog.NodeHash(v.edge[n-1].hash, node.hash)}
		v.edge = v.edge[:n-1]
		out = append(out, node.hash)
	}
	v.edge = append(v.edge, node)
	return out
}

// root is the root of the tree over the rows so far.
func (v *verification) root() tlog.Hash {
	if len(v.edge) == 0 {
		return tlog.Hash{}
	}
	h := v.edge[len(v.edge)-1].hash
	for i := len(v.edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(v.edge[i].hash, h)
	}
	return h
}

// reached compares the heads of the given size.
func (v *verification) reached(ctx context.Context, size int64) error {
	for _, want := range v.roots[size] {
		if got := v.root().String(); got != want {
			v.fault(size-1, "", "the anchor of %d rows has root %s, the rows have %s", size, want, got)
		}
	}
	for {
		if len(v.heads) == 0 && !v.noHeads {
			heads, err := v.reader.CheckpointsAfter(ctx, v.lastHead, batch)
			if err != nil {
				return err
			}
			v.heads, v.noHeads = heads, len(heads) < batch
		}
		if len(v.heads) == 0 || v.heads[0].Size > size {
			return nil
		}
		c := v.heads[0]
		v.heads, v.lastHead = v.heads[1:], c.Size
		v.Checkpoints++
		tree, err := v.open(c.Note)
		switch {
		case err != nil || tree.N != c.Size:
			v.fault(c.Size-1, "", "the checkpoint of %d rows is not signed by this installation", c.Size)
		case tree.Hash != v.root():
			v.fault(c.Size-1, "", "the checkpoint of %d rows has root %s, the rows have %s", c.Size, tree.Hash, v.root())
		}
	}
}

// waiting checks the rows that have no number yet.
func (v *verification) waiting(ctx context.Context) error {
	rows, err := v.reader.WaitingRows(ctx, batch)
	if err != nil {
		return err
	}
	v.Waiting = len(rows)
	for _, r := range rows {
		if r.Hash() != r.Leaf {
			v.fault(-1, r.ID, "the row was altered before it was numbered")
		}
	}
	strays, err := v.reader.Strays(ctx, maxFaults)
	for _, id := range strays {
		v.fault(-1, id, "the row has neither a number nor a place in the queue")
	}
	return err
}

// ahead finds checkpoints of more rows than there are. The trail may have grown while it was read, so it is counted once more
// after such a checkpoint was seen: the rows of a checkpoint are there before it is.
func (v *verification) ahead(ctx context.Context) error {
	now, err := v.reader.Head(ctx)
	if err != nil {
		return err
	}
	heads, err := v.reader.CheckpointsAfter(ctx, now, 1)
	if err != nil || len(heads) == 0 {
		return err
	}
	if now, err = v.reader.Head(ctx); err != nil {
		return err
	}
	if now < heads[0].Size {
		v.fault(now, "", "the trail ends at number %d, a checkpoint has seen %d rows: the tail was cut off", now-1, heads[0].Size)
	}
	return nil
}

// ErrHashMissing says that a stored hash of the tree is not there.
var ErrHashMissing = errors.New("audit: a stored hash is missing")
