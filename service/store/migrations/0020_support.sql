-- +goose Up

-- One request for help. owner is empty for a guest, who is known by address and access code alone. search is number, subject, address and
-- name in lower case. waiting_since is when the customer wrote what nobody has answered yet.
CREATE TABLE ticket (
    id             text COLLATE "C" NOT NULL PRIMARY KEY,
    number         text COLLATE "C" NOT NULL UNIQUE CHECK (number <> ''),
    subject        text NOT NULL,
    status         text COLLATE "C" NOT NULL CHECK (status IN ('open', 'pending', 'solved', 'closed')),
    priority       text COLLATE "C" NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    owner          text COLLATE "C" NOT NULL,
    requester      text COLLATE "C" NOT NULL,
    email          text COLLATE "C" NOT NULL,
    name           text NOT NULL,
    order_id       text COLLATE "C" NOT NULL,
    license_id     text COLLATE "C" NOT NULL,
    product_id     text COLLATE "C" NOT NULL,
    assignee       text COLLATE "C" NOT NULL,
    access_hash    bytea,
    access         bytea,
    search         text NOT NULL,
    first_reply_at timestamptz,
    waiting_since  timestamptz,
    row_version    bigint NOT NULL CHECK (row_version > 0),
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL
);
CREATE INDEX ticket_owner ON ticket (owner, id);
CREATE INDEX ticket_email ON ticket (email, id);
CREATE INDEX ticket_status ON ticket (status, id);
CREATE INDEX ticket_assignee ON ticket (assignee, status, id);
CREATE INDEX ticket_waiting ON ticket (waiting_since, id) WHERE waiting_since IS NOT NULL;

-- What was written. internal ones are for staff. mail_sum is the SHA-256 of the Message-ID of the mail that it came by, so that a mail
-- becomes one message however often it is passed on.
CREATE TABLE ticket_message (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    ticket_id   text COLLATE "C" NOT NULL REFERENCES ticket (id),
    author_kind text COLLATE "C" NOT NULL CHECK (author_kind IN ('customer', 'staff', 'system')),
    author      text COLLATE "C" NOT NULL,
    author_name text NOT NULL,
    internal    boolean NOT NULL,
    body        text NOT NULL,
    original    text NOT NULL,
    by_mail     boolean NOT NULL,
    mail_sum    bytea UNIQUE,
    at          timestamptz NOT NULL,
    CHECK (NOT internal OR author_kind <> 'customer')
);
CREATE INDEX ticket_message_ticket ON ticket_message (ticket_id, id);

-- A file. It has no message until one takes it, and size 0 until it has arrived whole; such rows are swept with their blobs.
CREATE TABLE ticket_attachment (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    ticket_id  text COLLATE "C" REFERENCES ticket (id),
    message_id text COLLATE "C" REFERENCES ticket_message (id),
    uploader   text COLLATE "C" NOT NULL,
    name       text NOT NULL,
    media_type text COLLATE "C" NOT NULL,
    size       bigint NOT NULL CHECK (size >= 0),
    sha256     bytea,
    blob       text COLLATE "C" NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    CHECK (message_id IS NULL OR (ticket_id IS NOT NULL AND size > 0 AND sha256 IS NOT NULL))
);
CREATE INDEX ticket_attachment_ticket ON ticket_attachment (ticket_id, id);
CREATE INDEX ticket_attachment_message ON ticket_attachment (message_id);
CREATE INDEX ticket_attachment_orphan ON ticket_attachment (created_at) WHERE message_id IS NULL;

-- +goose Down
DROP TABLE ticket_attachment;
DROP TABLE ticket_message;
DROP TABLE ticket;
