-- Uploads that have ended and are still to be purged: few, unless their purges are lost.
create index uploads_unpurged on uploads (id) where purged_at is null and state in ('failed', 'cancelled');
-- Those that were purged, by when: what a late chunk has left behind a purge is removed.
create index uploads_purged on uploads (purged_at) where purged_at is not null;

-- Idempotency keys whose request was answered with an upload that it did not make: the file had been there already. Kept for a day.
create table upload_keys (
    client_id  integer     not null,
    key        text        not null,
    upload_id  uuid        not null references uploads (id) on delete cascade,
    -- what the request said that the upload does not say of it
    policy     text        not null,
    filename   text,
    created_at timestamptz not null default now(),
    primary key (client_id, key)
);
create index upload_keys_age on upload_keys (created_at);
create index upload_keys_upload on upload_keys (upload_id);
