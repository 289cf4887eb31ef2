-- +goose Up

-- The ledger and the numbers of receipts only grow.
-- +goose StatementBegin
CREATE TRIGGER ledger_entry_no_update BEFORE UPDATE ON ledger_entry BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of ledger_entry are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ledger_entry_no_delete BEFORE DELETE ON ledger_entry BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of ledger_entry are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER receipt_no_update BEFORE UPDATE ON receipt BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of receipt are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER receipt_no_delete BEFORE DELETE ON receipt BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of receipt are never changed');
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER receipt_no_delete;
DROP TRIGGER receipt_no_update;
DROP TRIGGER ledger_entry_no_delete;
DROP TRIGGER ledger_entry_no_update;
