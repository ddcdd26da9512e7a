-- What a file does with rows whose keys others have is said by who sends it: `on_duplicate`. `skip` is what it was so far, `error` fails the
-- upload, `replace` has its row count instead of the earlier one, which goes to a table of its own: so it can be shown, and
-- comes back when the upload that replaced it is undone. See docs/internals/segments.md.
--
-- Workers of the version before would skip where `replace` or `error` was said: they are renewed before the API.
alter table uploads
    add column on_duplicate text not null default 'skip' check (on_duplicate in ('skip', 'error', 'replace'));

alter table upload_keys
    -- as in `uploads`: a request with the same idempotency key says the same
    add column on_duplicate text not null default 'skip';

alter table upload_progress
    -- of `accepted`: rows that replaced one of an earlier upload, when it was completed
    add column replaced   bigint not null default 0,
    -- of `accepted`: rows that later uploads have replaced, so that they are not in the table any more
    add column superseded bigint not null default 0;

-- Finds the version of a file before this one.
create index uploads_filename on uploads (client_id, filename, id) where state = 'completed' and filename is not null;

-- Rows that were replaced: as they were, in which segment, since when, and by which line of which upload. When that one is undone, a
-- row goes back to where it was.
create table debts_replaced (like debts, replaced_by uuid not null, by_line bigint not null, replaced_at timestamptz not null default now());
create index debts_replaced_by on debts_replaced (replaced_by, debt_id);
create index debts_replaced_upload on debts_replaced (upload_id);
create table transactions_replaced (like transactions, replaced_by uuid not null, by_line bigint not null, replaced_at timestamptz not null default now());
create index transactions_replaced_by on transactions_replaced (replaced_by, transaction_id);
create index transactions_replaced_upload on transactions_replaced (upload_id);
create table messages_replaced (like messages, replaced_by uuid not null, by_line bigint not null, replaced_at timestamptz not null default now());
create index messages_replaced_by on messages_replaced (replaced_by, message_key);
create index messages_replaced_upload on messages_replaced (upload_id);

-- All of them, by what they are found by: an upload is of one kind.
create view replaced_rows as
    select upload_id, line, segment, replaced_by, by_line, replaced_at from debts_replaced
    union all select upload_id, line, segment, replaced_by, by_line, replaced_at from transactions_replaced
    union all select upload_id, line, segment, replaced_by, by_line, replaced_at from messages_replaced;

-- A row that comes back was in no filter that was made meanwhile: its segment is compared by its index until it has a new one.
create function reopen_segment(segment integer) returns void language sql
    security definer set search_path = public, pg_temp as $$
    update row_segments set state = 'full', key_filter = null, run_id = null where id = segment and state in ('full', 'sealed')
$$;
revoke execute on function reopen_segment from public;
