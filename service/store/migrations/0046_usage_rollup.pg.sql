-- +goose Up

-- Days and sums over all subjects of what was counted before they were kept.
INSERT INTO usage_total (carrier, meter, span, subject, grp, starts_at, events, total, peak, late)
    SELECT carrier, meter, 'day', subject, grp, date_trunc('day', starts_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', SUM(events), SUM(total), MAX(peak), SUM(late)
    FROM usage_total WHERE span = 'quarter' GROUP BY carrier, meter, subject, grp, date_trunc('day', starts_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
INSERT INTO usage_rollup (scope, meter, span, grp, starts_at, events, total, peak, late)
    SELECT carrier, meter, span, '*', starts_at, SUM(events), SUM(total), MAX(peak), SUM(late) FROM usage_total GROUP BY carrier, meter, span, starts_at;
INSERT INTO usage_rollup (scope, meter, span, grp, starts_at, events, total, peak, late)
    SELECT carrier, meter, span, grp, starts_at, SUM(events), SUM(total), MAX(peak), SUM(late) FROM usage_total WHERE grp <> '' GROUP BY carrier, meter, span, grp, starts_at;
INSERT INTO usage_rollup (scope, meter, span, grp, starts_at, events, total, peak, late)
    SELECT l.product_id || '/' || l.env || '/0', t.meter, t.span, '*', t.starts_at, SUM(t.events), SUM(t.total), MAX(t.peak), SUM(t.late)
    FROM usage_total t JOIN license l ON l.id = t.carrier GROUP BY l.product_id, l.env, t.meter, t.span, t.starts_at;

-- +goose Down
DELETE FROM usage_rollup;
DELETE FROM usage_total WHERE span = 'day';
