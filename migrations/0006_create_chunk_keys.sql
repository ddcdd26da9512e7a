-- What a chunk's keys hash to, 4 bytes each, told before the chunk is loaded: of two chunks that run at a time at least one
-- knows which of its keys the other may have. Only a hint that saves time, so it need not survive a crash.
create unlogged table chunk_keys (
    upload_id uuid    not null references uploads (id) on delete cascade,
    no        integer not null,
    -- one of its keys came twice, in this chunk or in another one
    repeated  boolean not null,
    hashes    bytea   not null,
    primary key (upload_id, no)
);
alter table chunk_keys alter column hashes set storage external;
