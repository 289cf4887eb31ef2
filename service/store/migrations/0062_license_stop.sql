-- +goose Up

-- Since when and why staff suspend a license, a dispute of its payment does, and the end of its term does, each apart from the others. A license
-- is suspended for as long as any of them does; state and state_reason follow from them.
ALTER TABLE license ADD COLUMN held_at timestamptz;
ALTER TABLE license ADD COLUMN held_why text NOT NULL DEFAULT '';
ALTER TABLE license ADD COLUMN disputed_at timestamptz;
ALTER TABLE license ADD COLUMN disputed_why text NOT NULL DEFAULT '';
ALTER TABLE license ADD COLUMN lapsed_at timestamptz;

UPDATE license SET lapsed_at = updated_at WHERE state = 'suspended' AND state_reason = 'Its term is over.';
UPDATE license SET disputed_at = updated_at, disputed_why = CASE WHEN state_reason LIKE 'order %: the payment is disputed' THEN state_reason ELSE 'the payment is disputed' END
    WHERE state = 'suspended' AND id IN (SELECT g.object_id FROM order_grant g WHERE g.kind = 'license' AND g.state = 'suspended');
-- What nothing else explains, staff did; also where a dispute came while the reason given was another.
UPDATE license SET held_at = updated_at, held_why = state_reason
    WHERE state = 'suspended' AND lapsed_at IS NULL AND (disputed_at IS NULL OR disputed_why <> state_reason);

-- +goose Down
ALTER TABLE license DROP COLUMN lapsed_at;
ALTER TABLE license DROP COLUMN disputed_why;
ALTER TABLE license DROP COLUMN disputed_at;
ALTER TABLE license DROP COLUMN held_why;
ALTER TABLE license DROP COLUMN held_at;
