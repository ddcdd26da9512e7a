-- Rows of the kind `transactions`, each with its merchant. They count when their upload is completed, not before.
create table transactions (
    transaction_id uuid    not null, -- of the client's id, or of upload and line
    client_id      integer not null,
    upload_id      uuid    not null,
    line           bigint  not null,
    amount_minor   bigint  not null,
    date           date    not null,
    description    text    not null,
    currency       text,
    id             text, -- the client's own
    merchant       text, -- null: nobody that is known
    matched        text, -- rule, exact, brand, fuzzy
    rule_id        uuid,
    score          real,
    mcc            text,
    wikidata       text,
    primary key (transaction_id, client_id)
);
-- The results are read in the order of the file. Its entries come in that order, so it costs a load little.
create index transactions_upload on transactions (upload_id, line);

-- Clients' own rules for merchants, asked in the order in which they were made.
create table normalization_rules (
    id         uuid        primary key, -- version 7
    client_id  integer     not null references clients (id) on delete cascade,
    test       text        not null check (test in ('contains', 'regex')),
    pattern    text        not null,
    name       text        not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index normalization_rules_client on normalization_rules (client_id, id);

-- Moves with every change of a client's rules: what was compiled or cached of an older version is not used.
create table normalization_versions (
    client_id integer primary key references clients (id) on delete cascade,
    version   bigint  not null
);

create table normalizations (
    id           uuid        primary key, -- version 7: the request's
    client_id    integer     not null references clients (id) on delete cascade,
    date         date        not null,
    description  text        not null,
    amount_minor bigint      not null,
    currency     text,
    state        text        not null default 'queued' check (state in ('queued', 'completed', 'failed')),
    -- why it failed: the client's own heuristic did not answer
    detail       text,
    merchant     text, -- completed and null: nobody that is known
    matched      text,
    rule_id      uuid,
    score        real,
    mcc          text,
    category     text,
    wikidata     text,
    created_at   timestamptz not null default now(),
    completed_at timestamptz
);
create index normalizations_client on normalizations (client_id, id desc);

alter table client_settings
    -- built_in: the dictionary; external: an endpoint of the client's own, asked when no rule of its own holds
    add column heuristic     text not null default 'built_in' check (heuristic in ('built_in', 'external')),
    add column heuristic_url text;
