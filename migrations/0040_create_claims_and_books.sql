-- Rows of the kind `claims`, and the lines of claims that came by themselves. They count when their upload is completed. A
-- line's id begins like its claim's: the key finds the lines of a claim, and those of an upload. Numbers of members and providers
-- are compared as bytes here: a language's order would cost an upload's close most of its time.
create table claim_lines (
    line_id             uuid    not null,
    client_id           integer not null,
    upload_id           uuid, -- null: the claim came by itself
    line                bigint  not null, -- of the file, or of the claim
    claim_id            uuid    not null,
    provider_fees_minor bigint  not null,
    allowed_fees_minor  bigint  not null,
    coinsurance_minor   bigint  not null,
    copay_minor         bigint  not null,
    net_fee_minor       bigint  not null,
    service_date        date    not null,
    procedure_code      text    not null,
    quadrant            text,
    plan_group          text collate "C" not null,
    subscriber          text collate "C" not null,
    provider_npi        text collate "C" not null,
    primary key (line_id, client_id)
);

-- What the lines add up to. An upload's claims are entered by the transaction that completes it, and go when it is undone.
create table claims (
    id            uuid        primary key, -- begins with a time, as one of version 7 does
    client_id     integer     not null,
    upload_id     uuid,
    subscriber    text collate "C" not null,
    provider_npi  text collate "C" not null,
    service_date  date        not null,
    lines         bigint      not null,
    net_fee_minor bigint      not null,
    state         text        not null default 'pending' check (state in ('pending', 'posted', 'void')),
    -- pending: why it was not posted when that was last tried
    detail        text,
    created_at    timestamptz not null default now()
);
create index claims_client on claims (client_id, id);
create index claims_provider on claims (client_id, provider_npi, id);
create index claims_subscriber on claims (client_id, subscriber, id);
create index claims_day on claims (client_id, service_date);
create index claims_open on claims (client_id, state, id) where state <> 'posted';

-- What each provider's claims add up to: those that are not void.
create table provider_totals (
    client_id     integer not null,
    provider_npi  text collate "C" not null,
    claims        bigint  not null,
    lines         bigint  not null,
    net_fee_minor bigint  not null,
    primary key (client_id, provider_npi)
);
create index provider_totals_top on provider_totals (client_id, net_fee_minor desc, provider_npi) where claims > 0;

-- The same by spans of 1, 2, 4 … days: span n of level l is the days from n·2^l on, counted from 2000-01-01. Any range of days is a
-- few spans. Nothing that changes is in an index, and pages have room, so that a change touches no index.
create table provider_spans (
    client_id     integer  not null,
    level         smallint not null,
    span          integer  not null,
    provider_npi  text collate "C" not null,
    claims        bigint   not null,
    lines         bigint   not null,
    net_fee_minor bigint   not null,
    primary key (client_id, level, span, provider_npi)
) with (fillfactor = 80);

-- The books. An account is a plan's or a provider's, of one client; what is above zero is owed to it.
create table ledger_accounts (
    id         bigint      generated always as identity primary key,
    client_id  integer     not null references clients (id),
    kind       text        not null check (kind in ('plan', 'provider')),
    reference  text collate "C" not null, -- the plan's group, or the provider's number
    -- nothing is paid from it until somebody says so
    frozen     boolean     not null default false,
    reason     text,
    updated_at timestamptz not null default now(),
    unique (client_id, kind, reference)
);

-- A claim is paid once and taken back once, whoever tries.
create table ledger_postings (
    claim_id  uuid        not null, -- no reference: the books outlive the claims of an undone upload
    purpose   text        not null check (purpose in ('payment', 'reversal')),
    client_id integer     not null,
    posted_at timestamptz not null default now(),
    primary key (claim_id, purpose)
);
-- For the auditor, who looks at the latest ones.
create index ledger_postings_time on ledger_postings using brin (posted_at);

create table ledger_entries (
    claim_id     uuid   not null,
    purpose      text   not null,
    account_id   bigint not null references ledger_accounts (id),
    amount_minor bigint not null check (amount_minor <> 0),
    primary key (claim_id, purpose, account_id),
    foreign key (claim_id, purpose) references ledger_postings (claim_id, purpose)
);
create index ledger_entries_account on ledger_entries (account_id) include (amount_minor);

-- What is in the books stays as it is.
create function ledger_stays() returns trigger language plpgsql as $$
begin
    raise exception 'what is in % stays as it is: post a reversal', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger ledger_stays before update or delete or truncate on ledger_postings for each statement execute function ledger_stays();
create trigger ledger_stays before update or delete or truncate on ledger_entries for each statement execute function ledger_stays();

-- And what goes in adds up to zero, by each posting: its entries come by one statement.
create function ledger_balances() returns trigger language plpgsql as $$
begin
    if exists (select from added group by claim_id, purpose having sum(amount_minor) <> 0) then
        raise exception 'the entries of a posting do not add up to zero' using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger ledger_balances after insert on ledger_entries referencing new table as added
    for each statement execute function ledger_balances();

-- How a client wants its claims read: optional rules, and which lines make a claim.
alter table client_settings add column claims jsonb not null default '{}';
