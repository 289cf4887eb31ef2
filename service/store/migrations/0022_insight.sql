-- +goose Up

-- What happened lately is counted for the overview, and what happened to a state is listed, by walking an index.
CREATE INDEX orders_created ON orders (created_at);
CREATE INDEX orders_paid ON orders (paid_at, env, currency, captured, refunded) WHERE paid_at IS NOT NULL;
CREATE INDEX orders_state_id ON orders (state, id);
CREATE INDEX customer_created ON customer (created_at);
CREATE INDEX license_created ON license (created_at);
CREATE INDEX license_state ON license (state, id);
CREATE INDEX license_hint ON license (key_hint, id);
CREATE INDEX activation_began ON activation (activated_at);
CREATE INDEX api_key_created ON api_key (created_at);
CREATE INDEX api_secret_hint ON api_secret (hint);
CREATE INDEX download_link_begun ON download_link (begun_at, state) WHERE begun_at IS NOT NULL;
CREATE INDEX notice_state ON notice (state, id);
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_action ON audit (action, id);

-- +goose Down
DROP INDEX audit_action;
DROP INDEX audit_actor;
DROP INDEX audit_at;
DROP INDEX notice_state;
DROP INDEX download_link_begun;
DROP INDEX api_secret_hint;
DROP INDEX api_key_created;
DROP INDEX activation_began;
DROP INDEX license_hint;
DROP INDEX license_state;
DROP INDEX license_created;
DROP INDEX customer_created;
DROP INDEX orders_state_id;
DROP INDEX orders_paid;
DROP INDEX orders_created;
