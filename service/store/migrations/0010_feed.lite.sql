-- +goose Up

-- The change feed.
CREATE TABLE change (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind text NOT NULL,
    id   text NOT NULL,
    at   timestamptz NOT NULL
);
CREATE INDEX change_at ON change (at);

-- REPLACE deletes without firing DELETE triggers, so inserting over a row is refused too.
-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id OR rowid = NEW.rowid) BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_seq_no_update BEFORE UPDATE ON audit_seq BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit_seq are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_seq_no_delete BEFORE DELETE ON audit_seq BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit_seq are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_seq_no_replace BEFORE INSERT ON audit_seq
WHEN EXISTS (SELECT 1 FROM audit_seq WHERE num = NEW.num OR rowid = NEW.rowid OR audit_id = NEW.audit_id) BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit_seq are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_hash_no_update BEFORE UPDATE ON audit_hash BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit_hash are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_hash_no_delete BEFORE DELETE ON audit_hash BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit_hash are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_hash_no_replace BEFORE INSERT ON audit_hash
WHEN EXISTS (SELECT 1 FROM audit_hash WHERE idx = NEW.idx OR rowid = NEW.rowid) BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit_hash are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_checkpoint_no_update BEFORE UPDATE ON audit_checkpoint BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit_checkpoint are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_checkpoint_no_delete BEFORE DELETE ON audit_checkpoint BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit_checkpoint are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_checkpoint_no_replace BEFORE INSERT ON audit_checkpoint
WHEN EXISTS (SELECT 1 FROM audit_checkpoint WHERE size = NEW.size OR rowid = NEW.rowid) BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of audit_checkpoint are never changed');
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER audit_checkpoint_no_update;
DROP TRIGGER audit_checkpoint_no_delete;
DROP TRIGGER audit_checkpoint_no_replace;
DROP TRIGGER audit_hash_no_update;
DROP TRIGGER audit_hash_no_delete;
DROP TRIGGER audit_hash_no_replace;
DROP TRIGGER audit_seq_no_update;
DROP TRIGGER audit_seq_no_delete;
DROP TRIGGER audit_seq_no_replace;
DROP TRIGGER audit_no_update;
DROP TRIGGER audit_no_delete;
DROP TRIGGER audit_no_replace;
DROP TABLE change;
