package keyring

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// ExportState is how far the removal of a root is.
type ExportState string

// The states. Proposed waits for another owner; Approved may be taken by whoever proposed it; Taken waits for the file to be shown; Done: the
// sealed copy is deleted.
const (
	Proposed  ExportState = "proposed"
	Approved  ExportState = "approved"
	Taken     ExportState = "taken"
	Done      ExportState = "done"
	Withdrawn ExportState = "withdrawn"
)

// Export is the removal of a root from the installation, as stored, or, where Adds is not empty, the addition of one whose public key that is: each
// puts what signs keysets into somebody's hands. Alone says that the operator at the machine decided alone.
type Export struct {
	ID         string
	KID        string
	Adds       string
	State      ExportState
	Reason     string
	Alone      bool
	ProposedBy string
	ProposedAt time.Time
	ApprovedBy string
	ApprovedAt time.Time
	TakenAt    time.Time
	DoneAt     time.Time
	ExpiresAt  time.Time
}

// Exports keeps the removals and additions of roots. Writes run in the caller's transaction.
type Exports interface {
	// AddExport stores a proposal; [ErrExporting] when the root has an open one. Those that lapsed are withdrawn first.
	AddExport(ctx context.Context, e Export) error
	Export(ctx context.Context, id string) (Export, error)
	// Exports returns the last hundred, newest first.
	Exports(ctx context.Context) ([]Export, error)
	// MoveExport writes e if its state was from, and reports whether it was.
	MoveExport(ctx context.Context, e Export, from ExportState) (bool, error)
	// DropRoot deletes the sealed private part of a root, and reports whether there was one.
	DropRoot(ctx context.Context, kid string) (bool, error)
	// Person is who stands behind an actor: the same text for accounts of one e-mail address and for the tokens somebody made.
	Person(ctx context.Context, actor string) (string, error)
}

const (
	// proposalLife is how long a proposal waits for approval, approvalLife how long an approved one may be taken.
	proposalLife = 7 * 24 * time.Hour
	approvalLife = 24 * time.Hour
)

// The refusals of exports.
var (
	ErrExporting       = licensing.Fail(licensing.Conflict, "export-open", "The root is about to be exported or added already.")
	ErrExportState     = licensing.Fail(licensing.Conflict, "export-state", "The export is not at the point where this can be done, or it has lapsed.")
	ErrSamePerson      = licensing.Fail(licensing.Forbidden, "same-person", "Another owner has to approve it, signed in to the console.")
	ErrNotYours        = licensing.Fail(licensing.Forbidden, "not-yours", "Only who proposed the export can take the file.")
	ErrShortPassphrase = licensing.Fail(licensing.Invalid, "passphrase", "The passphrase is too short or too long.")
	ErrNotTheRoot      = licensing.Fail(licensing.Invalid, "root-file", "This is not the file of the root, or not its passphrase. The root stays where it is.")
)

// ProposeRequest proposes to move the root offline.
type ProposeRequest struct {
	Reason string `json:"reason" doc:"Why, for the audit trail."`
}

// Validate demands a reason.
func (r ProposeRequest) Validate() error { return demand(r.Reason) }

// ExportRequest names an export.
type ExportRequest struct {
	ID string `path:"id" doc:"The export."`
}

// ExportView is an export as staff see it.
type ExportView struct {
	ID         string     `json:"id" doc:"Id of the export."`
	KID        string     `json:"kid" doc:"Thumbprint of the root."`
	Adds       string     `json:"adds,omitempty" doc:"Public key of the root, where it is not this installation's that is to leave but another that products are to trust too."`
	State      string     `json:"state" doc:"How far it is: proposed waits for another owner, approved for the file to be taken, taken for the file to be shown again; done: the root is offline, or added." enum:"proposed,approved,taken,done,withdrawn"`
	Reason     string     `json:"reason" doc:"Why."`
	Alone      bool       `json:"alone,omitempty" doc:"The operator at the machine decided alone, as an installation of one person allows."`
	ProposedBy string     `json:"proposed_by" doc:"Who proposed it."`
	ProposedAt time.Time  `json:"proposed_at" doc:"When."`
	ApprovedBy string     `json:"approved_by,omitempty" doc:"Who approved it."`
	ApprovedAt *time.Time `json:"approved_at,omitempty" doc:"When."`
	DoneAt     *time.Time `json:"done_at,omitempty" doc:"When the sealed copy was deleted."`
	ExpiresAt  time.Time  `json:"expires_at" doc:"Until when the next step has to come."`
}

func (e *Export) view() ExportView {
	return ExportView{ID: e.ID, KID: e.KID, Adds: e.Adds, State: string(e.State), Reason: e.Reason, Alone: e.Alone, ProposedBy: e.ProposedBy, ProposedAt: e.ProposedAt,
		ApprovedBy: e.ApprovedBy, ApprovedAt: optional(e.ApprovedAt), DoneAt: optional(e.DoneAt), ExpiresAt: e.ExpiresAt}
}

// ProposeExport proposes to move the root offline. The operator at the machine of an installation that one person runs needs nobody's approval:
// whoever is there has the data directory and the master key, and so the root.
func (s *Service) ProposeExport(ctx context.Context, r ProposeRequest) (ExportView, error) {
	ring, err := s.fetch(ctx)
	if err != nil {
		return ExportView{}, err
	}
	if ring.root.Sealed == nil {
		return ExportView{}, ErrRootOffline
	}
	now, actor := s.Clock.Now(), licensing.ActorFrom(ctx)
	e := Export{ID: s.IDs.New("rex"), KID: ring.root.KID, State: Proposed, Reason: r.Reason, ProposedBy: actor.String(), ProposedAt: now, ExpiresAt: now.Add(proposalLife)}
	if actor.Kind == licensing.CLI && s.Alone {
		e.State, e.Alone, e.ExpiresAt = Approved, true, now.Add(approvalLife)
	}
	return e.view(), s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Exports.AddExport(ctx, e); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "root_export.propose", Target: e.ID, Reason: r.Reason, Detail: map[string]any{"root": e.KID, "alone": e.Alone}})
	})
}

// ApproveExport lets a proposed export go on, or adds the root that was proposed. Whoever proposed it may not, nor by another account of the same
// address, nor the operator at the machine, of whom nobody knows who it is.
func (s *Service) ApproveExport(ctx context.Context, r ExportRequest) (ExportView, error) {
	e, err := s.Exports.Export(ctx, r.ID)
	if err != nil {
		return ExportView{}, err
	}
	if e.Adds != "" {
		return s.approveRoot(ctx, e)
	}
	return s.moveExport(ctx, r.ID, "root_export.approve", func(ctx context.Context, e *Export) error {
		if err := s.approve(ctx, e); err != nil {
			return err
		}
		e.State, e.ExpiresAt = Approved, e.ApprovedAt.Add(approvalLife)
		return nil
	}, Proposed)
}

// approve notes who approves an export, who must be another person than whoever proposed it.
func (s *Service) approve(ctx context.Context, e *Export) error {
	actor := licensing.ActorFrom(ctx)
	if actor.Kind != licensing.Staff {
		return ErrSamePerson
	}
	proposer, err := s.Exports.Person(ctx, e.ProposedBy)
	if err != nil {
		return err
	}
	me, err := s.Exports.Person(ctx, actor.String())
	if err != nil {
		return err
	}
	if me == proposer {
		return ErrSamePerson
	}
	e.ApprovedBy, e.ApprovedAt = actor.String(), s.Clock.Now()
	return nil
}

// WithdrawExport ends an export that is not done. The root stays where it is.
func (s *Service) WithdrawExport(ctx context.Context, r ExportRequest) (ExportView, error) {
	return s.moveExport(ctx, r.ID, "root_export.withdraw", func(_ context.Context, e *Export) error {
		e.State = Withdrawn
		return nil
	}, Proposed, Approved, Taken)
}

// TakeRequest asks for the root's file.
type TakeRequest struct {
	ID         string `path:"id" doc:"The export."`
	Passphrase string `json:"passphrase" doc:"What the file is encrypted with, 12 bytes or more. It is kept nowhere."`
}

// Validate demands a good passphrase.
func (r TakeRequest) Validate() error { return checkPassphrase(r.Passphrase) }

// RootTaken is the root's file.
type RootTaken struct {
	Export ExportView `json:"export" doc:"The export. The root is still in the installation until the file is shown again."`
	File   string     `json:"file" doc:"The root, encrypted with the passphrase: an age file." secret:"once"`
}

// TakeRoot gives the encrypted root to whoever proposed its export. It can be taken again until it is confirmed.
func (s *Service) TakeRoot(ctx context.Context, r TakeRequest) (RootTaken, error) {
	ring, err := s.fetch(ctx)
	if err != nil {
		return RootTaken{}, err
	}
	private, err := s.open(ring.root)
	if err != nil {
		return RootTaken{}, ErrRootOffline.Because(err)
	}
	file, err := sealRoot(ring.iss, private, r.Passphrase)
	if err != nil {
		return RootTaken{}, err
	}
	v, err := s.moveExport(ctx, r.ID, "root_export.take", func(ctx context.Context, e *Export) error {
		if err := s.own(ctx, e); err != nil {
			return err
		}
		if e.KID != ring.root.KID {
			return ErrExportState
		}
		licensing.KeepOnce(ctx, file)
		e.State, e.TakenAt = Taken, s.Clock.Now()
		return nil
	}, Approved, Taken)
	if err != nil {
		return RootTaken{}, err
	}
	return RootTaken{Export: v, File: file}, nil
}

// TakeAgain answers a replay.
func (s *Service) TakeAgain(ctx context.Context, id, file string) (RootTaken, error) {
	v, err := s.ExportAgain(ctx, id, "")
	return RootTaken{Export: v, File: file}, err
}

// ConfirmRequest shows the root's file as it was stored.
type ConfirmRequest struct {
	ID         string `path:"id" doc:"The export."`
	File       string `json:"file" doc:"The file, read back from where it was stored."`
	Passphrase string `json:"passphrase" doc:"Its passphrase."`
}

// ConfirmExport deletes the sealed copy of the root once its file was read back and opened. From then on the root is offline.
func (s *Service) ConfirmExport(ctx context.Context, r ConfirmRequest) (ExportView, error) {
	e, err := s.Exports.Export(ctx, r.ID)
	if err != nil {
		return ExportView{}, err
	}
	private, err := OpenRoot([]byte(r.File), r.Passphrase)
	if err != nil {
		return ExportView{}, ErrNotTheRoot.Because(err)
	}
	ring, err := s.fetch(ctx)
	if err != nil {
		return ExportView{}, err
	}
	if ring.root.KID != e.KID || !ring.root.Public.Equal(private.Public()) {
		return ExportView{}, ErrNotTheRoot
	}
	v, err := s.moveExport(ctx, r.ID, "root_export.confirm", func(ctx context.Context, e *Export) error {
		if err := s.own(ctx, e); err != nil {
			return err
		}
		dropped, err := s.Exports.DropRoot(ctx, e.KID)
		if err == nil && !dropped {
			err = ErrExportState
		}
		e.State, e.DoneAt = Done, s.Clock.Now()
		return err
	}, Taken)
	if err == nil {
		s.Forget()
	}
	return v, err
}

// own refuses everybody but the one who proposed an export.
func (s *Service) own(ctx context.Context, e *Export) error {
	if licensing.ActorFrom(ctx).String() != e.ProposedBy {
		return ErrNotYours
	}
	return nil
}

// moveExport takes an export a step further.
func (s *Service) moveExport(ctx context.Context, id, action string, step func(ctx context.Context, e *Export) error, from ...ExportState) (ExportView, error) {
	var out Export
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		e, err := s.Exports.Export(ctx, id)
		if err != nil {
			return err
		}
		was := e.State
		good := !s.Clock.Now().After(e.ExpiresAt)
		for _, f := range from {
			if f != was {
				continue
			}
			if !good {
				return ErrExportState
			}
			if err := step(ctx, &e); err != nil {
				return err
			}
			done, err := s.Exports.MoveExport(ctx, e, was)
			if err != nil {
				return err
			}
			if !done {
				return ErrExportState
			}
			out = e
			return s.Audit.Record(ctx, licensing.Event{Action: action, Target: e.ID, Reason: e.Reason, Detail: map[string]any{"root": e.KID, "alone": e.Alone}})
		}
		return ErrExportState
	})
	return out.view(), err
}

// ExportAgain answers a replay.
func (s *Service) ExportAgain(ctx context.Context, id, _ string) (ExportView, error) {
	e, err := s.Exports.Export(ctx, id)
	return e.view(), err
}

// ExportsRequest asks for all exports.
type ExportsRequest struct{}

// ExportList is all exports.
type ExportList struct {
	Items []ExportView `json:"items" doc:"The exports, newest first."`
}

// ListExports lists the exports of roots.
func (s *Service) ListExports(ctx context.Context, _ ExportsRequest) (ExportList, error) {
	list, err := s.Exports.Exports(ctx)
	out := ExportList{Items: make([]ExportView, len(list))}
	for i := range list {
		out.Items[i] = list[i].view()
	}
	return out, err
}
