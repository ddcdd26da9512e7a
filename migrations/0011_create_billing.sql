-- What a client wants to be known by and how it bills; a client that is not here has the defaults.
create table client_settings (
    client_id       integer primary key references clients (id) on delete cascade,
    language        text        not null default 'pt-BR' check (language in ('pt-BR', 'en', 'es')),
    time_zone       text        not null default 'America/Sao_Paulo', -- of the IANA database
    currency        text        not null default 'BRL' check (currency ~ '^[A-Z]{3}$'),
    -- who is told of uploads that ended
    operator_email  text,
    -- whether the schedule bills this client; a run by hand always may
    automatic       boolean     not null default true,
    cycle           text        not null default 'daily' check (cycle in ('daily', 'weekly', 'monthly')),
    -- weekly: 1 (Monday) to 7; monthly: the day, or the month's last one where it is shorter
    cycle_day       integer     not null default 1 check (cycle_day between 1 and 31),
    -- a debt is billed when it is due within so many days
    days_ahead      integer     not null default 30 check (days_ahead between 0 and 3650),
    -- ranges: allocated without waiting, a crash may leave gaps; gapless: one shard of the client's bills at a time
    numbering       text        not null default 'ranges' check (numbering in ('ranges', 'gapless')),
    next_number     bigint      not null default 1 check (next_number > 0),
    -- a scheduled run that would make more than so many times the usual number of bills stops and asks
    safety_factor   double precision not null default 10 check (safety_factor > 0),
    reminder_days   integer[]   not null default '{3}',
    overdue_days    integer[]   not null default '{1,7,30}',
    -- the beneficiary: name, document, address, bank and PIX or SEPA details
    issuer          jsonb       not null default '{}',
    updated_at      timestamptz not null default now()
);

alter table uploads
    -- debts due up to here are billed; null: nobody has looked
    add column billed_through date,
    -- the earliest due date behind that; null with billed_through: none is left
    add column next_due       date,
    -- a run has taken it on: it cannot be undone any more
    add column billed_by      uuid;
create index uploads_billable on uploads (client_id) where state = 'completed';

create table billing_runs (
    id           uuid primary key, -- version 7
    client_id    integer     not null references clients (id),
    cause        text        not null check (cause in ('schedule', 'request')),
    dry_run      boolean     not null default false,
    state        text        not null check (state in ('queued', 'held', 'running', 'completed', 'cancelled', 'failed')),
    -- why it is held, was cancelled or failed
    detail       text,
    -- held: somebody has said that it may go on
    approved_at  timestamptz,
    -- of the client's calendar, known once planned
    issued_on    date,
    period       date,
    cutoff       date,
    group_id     uuid,
    -- what it would do, as far as known; what it did
    planned      bigint,
    bills        bigint      not null default 0,
    amount_minor numeric     not null default 0,
    -- dry runs: the first bills there would be
    sample       jsonb,
    created_at   timestamptz not null default now(),
    started_at   timestamptz,
    finished_at  timestamptz
);
create index billing_runs_client on billing_runs (client_id, id desc);
create index billing_runs_active on billing_runs (client_id, id) where finished_at is null;

-- The uploads that a run bills, and between which due dates.
create table billing_run_uploads (
    run_id    uuid   not null references billing_runs (id) on delete cascade,
    upload_id uuid   not null,
    after     date, -- billed before; null: nothing
    rows      bigint not null, -- that the upload has, so that it shows when some were not seen
    primary key (run_id, upload_id)
);

-- What each shard of a run saw and did.
create table billing_shards (
    run_id       uuid    not null references billing_runs (id) on delete cascade,
    upload_id    uuid    not null,
    from_block   bigint  not null,
    seen         bigint  not null,
    bills        bigint  not null,
    amount_minor numeric not null,
    next_due     date,
    primary key (run_id, upload_id, from_block)
);

-- Numbers that a shard's bills have.
create table billing_numbers (
    run_id      uuid   not null references billing_runs (id) on delete cascade,
    from_number bigint not null,
    to_number   bigint not null, -- inclusive
    primary key (run_id, from_number)
);

-- The payer is the debt's: debts do not change, and those of a billed upload stay.
create table bills (
    client_id    integer not null,
    number       bigint  not null,
    debt_id      uuid    not null,
    upload_id    uuid    not null,
    run_id       uuid    not null,
    period       date    not null,
    issued_on    date    not null,
    due_on       date    not null,
    amount_minor bigint  not null,
    paid_minor   bigint  not null default 0,
    currency     text    not null,
    -- overdue is not a state but a date: open, and due before today
    state        text    not null default 'open' check (state in ('open', 'paid', 'cancelled')),
    primary key (client_id, number),
    -- a debt is billed once a period, whoever tries
    unique (debt_id, client_id, period)
);

create table payments (
    client_id    integer     not null references clients (id),
    debt_id      uuid        not null,
    payment_id   text        not null,
    amount_minor bigint      not null check (amount_minor > 0),
    paid_at      timestamptz not null,
    paid_by      text        not null,
    created_at   timestamptz not null default now(),
    primary key (client_id, debt_id, payment_id)
);

-- What has been paid of a debt, in all.
create table debt_payments (
    debt_id    uuid    not null,
    client_id  integer not null,
    paid_minor bigint  not null,
    primary key (debt_id, client_id)
);
