create table clients (
    id         integer generated always as identity primary key,
    name       text        not null unique,
    created_at timestamptz not null default now()
);

create table api_keys (
    id         uuid primary key,
    client_id  integer     not null references clients (id) on delete cascade,
    prefix     text        not null, -- the first characters, for people to tell keys apart
    hash       bytea       not null unique, -- SHA-256 of the key; a key has 256 random bits, so a slow hash adds nothing
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);

create table uploads (
    id              uuid primary key, -- version 7
    client_id       integer     not null references clients (id),
    kind            text        not null,
    policy          text        not null check (policy in ('partial', 'atomic')),
    filename        text,
    state           text        not null check (state in ('receiving', 'processing', 'completed', 'failed', 'cancelled')),
    reason          text, -- why it failed or was cancelled: a stable code
    detail          text, -- the same for people
    forced          boolean     not null default false,
    idempotency_key text,
    group_id        uuid        not null, -- no reference: finished groups are pruned, uploads stay
    header          bytea, -- the first record as it came, without its line end
    header_bytes    bigint      not null default 0, -- bytes of the file before the first chunk
    -- where the kind's table ended when the upload began: its rows are behind that, but for those that fill gaps
    first_block     bigint      not null,
    bytes           bigint, -- of the file, decompressed; known once received
    sha256          bytea,
    -- the receiver renews it; a receiving upload whose receiver is silent has failed
    alive_at        timestamptz not null default now(),
    created_at      timestamptz not null default now(),
    received_at     timestamptz,
    -- every chunk is loaded and nothing but the settlement of duplicates stands before the close
    loaded_at       timestamptz,
    completed_at    timestamptz,
    -- rows, chunk objects and ledger rows of a failed, cancelled or undone upload are gone
    purged_at       timestamptz
);

create index uploads_client on uploads (client_id, id desc);
create index uploads_sha256 on uploads (client_id, sha256) where state = 'completed';
create index uploads_receiving on uploads (alive_at) where state = 'receiving';
create unique index uploads_idempotency_key on uploads (client_id, idempotency_key) where idempotency_key is not null;

-- Counters that every chunk's transaction moves. Apart from `uploads`, so that its other changes (the receiver's sign of
-- life, the change of state) never wait for chunks.
create table upload_progress (
    upload_id    uuid primary key references uploads (id) on delete cascade,
    chunks_done  bigint not null default 0,
    rows_read    bigint not null default 0,
    -- rows put into the kind's table: those accepted, unless an atomic file was doomed already
    loaded       bigint not null default 0,
    accepted     bigint not null default 0,
    rejected     bigint not null default 0,
    duplicate    bigint not null default 0,
    -- a chunk met a duplicate: the following ones load the careful way at once
    careful      boolean not null default false,
    first_row_at timestamptz
);

create table chunks (
    upload_id  uuid    not null references uploads (id) on delete cascade,
    no         integer not null,
    first_line bigint  not null, -- of the file, 1-based: the line of the chunk's first byte
    first_byte bigint  not null, -- of the file, 0-based
    bytes      bigint  not null,
    sha256     bytea   not null,
    -- records too long to be kept: [{"line", "bytes", "head" (base64)}]
    oversize   jsonb,
    rows_read  bigint,
    accepted   bigint,
    rejected   bigint,
    duplicate  bigint,
    -- duplicates whose winner the join must settle: it stands later in this file, or in a file not closed yet
    unsettled  bigint,
    done_at    timestamptz,
    primary key (upload_id, no),
    check (rows_read = accepted + rejected + duplicate)
);

-- Finds the uploads that began like this one: perhaps the same file, sent again.
create index chunks_first on chunks (sha256) where no = 0;

create table rejects (
    upload_id       uuid   not null, -- no reference: it would be looked up for each of a million rows
    line            bigint not null, -- of the record's first byte in the file, 1-based
    chunk_no        integer not null,
    column_name     text, -- null: the whole record
    code            text   not null,
    message         text   not null,
    raw             bytea  not null, -- the record as it came, without its line end (a long one: its head)
    -- code 'duplicate': where the first one came from
    first_upload_id uuid,
    first_line      bigint,
    primary key (upload_id, line)
);

-- An upload that met rows of another one that was not closed yet: its join waits for that one's end.
create table upload_waits (
    upload_id    uuid not null references uploads (id) on delete cascade,
    on_upload_id uuid not null references uploads (id) on delete cascade,
    primary key (upload_id, on_upload_id)
);
