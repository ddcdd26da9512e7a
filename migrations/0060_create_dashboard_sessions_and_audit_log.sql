-- Who may look at the dashboard without steering anything.
alter table api_keys add column viewer boolean not null default false;
alter table api_keys add constraint api_keys_one_role check (not (viewer and operator));

-- Somebody who has logged in. The cookie holds 256 random bits, this their SHA-256.
create table dashboard_sessions (
    hash       bytea primary key,
    -- the key that was logged in with: when it is revoked, the session ends; null: by a link of `gristmill up`
    key_id     uuid references api_keys (id) on delete cascade,
    who        text        not null,
    operator   boolean     not null,
    csrf       text        not null, -- goes with every action
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

-- Links that log somebody in, once.
create table dashboard_links (
    hash       bytea primary key,
    who        text        not null,
    expires_at timestamptz not null
);

-- What was done on the dashboard, by whom.
create table audit_log (
    id     bigint generated always as identity primary key,
    at     timestamptz not null default now(),
    who    text        not null,
    action text        not null, -- such as `queues.pause`
    target text        not null, -- what it was done to
    detail text
);
