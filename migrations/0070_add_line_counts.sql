-- A second, independent count that must add up before a file is closed: its lines. Who receives a file counts them as they
-- come, whatever is in them; who reads a chunk counts those that it has read. Null: the upload was begun before.
alter table uploads add column lines bigint check (lines >= 0);
alter table chunks
    -- lines read: of records, of blank ones and empty ones
    add column lines bigint check (lines >= 0),
    -- records whose fields are all blank: skipped, and no records
    add column blank bigint check (blank >= 0);
