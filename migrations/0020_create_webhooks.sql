-- Where a client wants to be told of what happens.
create table webhook_endpoints (
    id              uuid primary key, -- version 7
    client_id       integer     not null references clients (id) on delete cascade,
    url             text        not null,
    events          text[]      not null,
    description     text,
    -- merchant: the callback of the old API, for normalizations only
    shape           text        not null default 'standard' check (shape in ('standard', 'merchant')),
    scheme          text        not null default 'hmac' check (scheme in ('hmac', 'ed25519')),
    -- what is signed with: the key of an HMAC, or an Ed25519 seed; in the clear, because a hash signs nothing
    secret          bytea       not null,
    -- rotated: signs beside the new one until then
    old_secret      bytea,
    old_secret_until timestamptz,
    -- null: enabled
    disabled_at     timestamptz,
    disabled_reason text check (disabled_reason in ('client', 'gone', 'failing')),
    -- the first failure since the last success
    failing_since   timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    check ((disabled_at is null) = (disabled_reason is null))
);
create index webhook_endpoints_client on webhook_endpoints (client_id, id desc);

-- One event on its way to one endpoint. The payload is kept as it is signed, so that it is the same at every attempt.
create table webhook_deliveries (
    id          uuid        primary key, -- version 7
    endpoint_id uuid        not null, -- no reference: it would be looked up for each of a million deliveries
    client_id   integer     not null,
    event_id    uuid        not null, -- what receivers know it by, at every attempt and every replay
    type        text        not null,
    payload     text        not null,
    state       text        not null default 'pending' check (state in ('pending', 'delivered', 'failed', 'cancelled')),
    attempts    integer     not null default 0,
    created_at  timestamptz not null default now(),
    finished_at timestamptz
);
create index webhook_deliveries_endpoint on webhook_deliveries (endpoint_id, id desc);
-- How much a client still has before it: what makes many events is slowed down by it.
create index webhook_deliveries_pending on webhook_deliveries (client_id) where state = 'pending';

-- Each time that an endpoint was called.
create table webhook_attempts (
    delivery_id uuid        not null,
    no          integer     not null, -- from 1
    at          timestamptz not null,
    millis      integer     not null,
    -- null: there was no answer, and error says why
    status      smallint,
    error       text,
    -- of the answer's body, the first KiB
    answer      bytea,
    primary key (delivery_id, no)
);
