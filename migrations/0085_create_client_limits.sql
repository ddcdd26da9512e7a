-- What one client may take of the disk and of memory, where it differs from the settings of the processes.
create table client_limits (
    client_id           integer primary key references clients (id) on delete cascade,
    max_rejects         bigint check (max_rejects >= 0), -- kept of one upload; null: as the setting says
    max_ratio           bigint check (max_ratio >= 0), -- of a compressed body; 0: any
    max_bytes_under_way bigint check (max_bytes_under_way >= 0) -- of all its files that are not closed yet
);

-- Rejected records beyond the limit are counted and not kept.
alter table upload_progress
    add column kept_rejects bigint not null default 0, -- places that chunks took under the limit
    add column unkept       bigint not null default 0;
alter table chunks add column unkept bigint not null default 0;

-- Of what sort they were.
create table unkept_rejects (
    upload_id   uuid   not null references uploads (id) on delete cascade,
    code        text   not null,
    column_name text   not null, -- empty: the whole record
    records     bigint not null,
    primary key (upload_id, code, column_name)
);

create index uploads_under_way on uploads (client_id) where state in ('receiving', 'processing');
