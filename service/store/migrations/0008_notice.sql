-- +goose Up

-- The outbox of mail: one row a (template, subject, epoch), written with the change it tells of. data is sealed and is emptied when
-- the mail has been handed over.
CREATE TABLE notice (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    template   text COLLATE "C" NOT NULL CHECK (template <> ''),
    subject    text COLLATE "C" NOT NULL CHECK (subject <> ''),
    epoch      bigint NOT NULL,
    recipient  text NOT NULL CHECK (recipient <> ''),
    lang       text COLLATE "C" NOT NULL,
    data       bytea NOT NULL,
    state      text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'sent', 'failed')),
    attempts   bigint NOT NULL CHECK (attempts >= 0),
    last_error text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (template, subject, epoch)
);
CREATE INDEX notice_pending ON notice (updated_at) WHERE state = 'pending';

-- Mail kept here instead of being sent, by installations without an SMTP server. body is sealed: it may hold keys and links.
CREATE TABLE mail (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    message_id text COLLATE "C" NOT NULL UNIQUE,
    sender     text NOT NULL,
    recipient  text NOT NULL,
    subject    text NOT NULL,
    body       bytea NOT NULL,
    at         timestamptz NOT NULL
);
CREATE INDEX mail_recipient ON mail (recipient, id);

-- +goose Down
DROP TABLE mail;
DROP TABLE notice;
