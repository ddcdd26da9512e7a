-- Rows of the kind `messages`: what each cost by its text, which is not kept. They count when their upload is completed, not
-- before. Amounts are in twentieths of a credit.
create table messages (
    message_key  uuid             not null, -- of the client's id
    client_id    integer          not null,
    upload_id    uuid             not null,
    line         bigint           not null,
    sent_at      timestamptz      not null,
    text_credits bigint           not null,
    id           text collate "C" not null, -- the client's own
    report_id    text collate "C",
    primary key (message_key, client_id)
);
-- Usage is read in this order. Messages come more or less in the order of their time, so it costs a load little.
create index messages_usage on messages (client_id, sent_at, id);

-- What reports cost now.
create table reports (
    client_id   integer          not null references clients (id) on delete cascade,
    id          text collate "C" not null,
    -- client: it was put here; upstream: what the client's reports_url said, kept for reports_max_age
    source      text             not null check (source in ('client', 'upstream')),
    name        text, -- null: upstream knows no such report
    credit_cost bigint,
    updated_at  timestamptz      not null default now(),
    primary key (client_id, id),
    check ((name is null) = (credit_cost is null)),
    check (source = 'upstream' or name is not null)
);

-- What is old upstream is removed.
create index reports_upstream on reports (updated_at) where source = 'upstream';

-- What the reports cost that an upload's messages name, as it was when the first of its chunks met them: that is billed,
-- whatever becomes of the reports. A report that was unknown then has neither name nor cost, and its messages' texts count.
create table upload_reports (
    upload_id   uuid             not null references uploads (id) on delete cascade,
    report_id   text collate "C" not null,
    name        text,
    credit_cost bigint,
    primary key (upload_id, report_id),
    check ((name is null) = (credit_cost is null))
);

alter table client_settings
    -- with {id} in it; null: reports are only those put here
    add column reports_url     text,
    -- seconds
    add column reports_max_age integer not null default 3600;

comment on column uploads.header is 'the first record as it came, without its line end; empty: a file of lines of JSON';
