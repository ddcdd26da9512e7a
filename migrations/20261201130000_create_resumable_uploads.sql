-- Files that arrive in as many requests as it takes, at any process of the API: what has come is kept as pieces in the object store
-- (`resumable/<id>/<object>`), and how far they reach stands here. Once its last byte is there a file is read in as one that was sent
-- whole, and becomes an upload.
--
-- Nothing of it exists for processes of the version before.
create table resumable_uploads (
    id           uuid        primary key, -- version 7
    client_id    integer     not null references clients (id) on delete cascade,
    -- bytes that it will have; null: not said yet
    length       bigint      check (length >= 0),
    received     bigint      not null default 0 check (received >= 0),
    -- as the client sent it, and is shown it again
    metadata     text,
    -- what was said of the file, as a query; null: it is a part of files and none by itself
    parameters   text,
    -- the parts that it is put together of, in their order
    parts        uuid[],
    -- the request that may add to it, or read it in: the last one that began to
    writer       uuid,
    -- until when that reads it in; it renews this
    leased_until timestamptz,
    -- what it came to: an upload, or why it is none
    upload_id    uuid,
    problem      jsonb,
    created_at   timestamptz not null default now(),
    -- when it goes, unless something arrives before
    expires_at   timestamptz not null,
    check (received <= length)
);

create index resumable_uploads_client on resumable_uploads (client_id, id);
create index resumable_uploads_expiry on resumable_uploads (expires_at);
-- Those that are whole and still to be read in: few.
create index resumable_uploads_whole on resumable_uploads (id)
    where received = length and parameters is not null and upload_id is null and problem is null;

create table resumable_pieces (
    resumable_id uuid   not null references resumable_uploads (id) on delete cascade,
    first_byte   bigint not null check (first_byte >= 0),
    bytes        bigint not null check (bytes > 0),
    -- each writing has its own, so that a late one spoils nothing
    object       uuid   not null,
    primary key (resumable_id, first_byte)
);
