-- How often somebody, or a schedule, has brought a finished job back: what ends an automatic redrive.
alter table jobs add column redriven integer not null default 0;

-- Small POSTs that came with an Idempotency-Key: the same request again gets the answer that is kept here.
create table idempotent_requests (
    client_id   integer     not null references clients (id) on delete cascade,
    key         text        not null,
    -- SHA-256 of method, address and body: the key belongs to this request and to no other
    fingerprint bytea       not null,
    -- who works on it; an answer that comes after the row was given to another one is not written
    attempt     uuid        not null,
    -- null: still in flight
    status      smallint,
    content_type text,
    location    text,
    body        bytea,
    created_at  timestamptz not null default now(),
    primary key (client_id, key)
);
create index idempotent_requests_age on idempotent_requests (created_at);
