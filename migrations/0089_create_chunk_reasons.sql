-- Why a chunk's records were rejected, counted when they are: an upload may have millions of rejects, and whoever asks why
-- is told of all of them. Duplicates are not here: the join changes their number, and `upload_progress` has it.
create table chunk_reasons (
    upload_id  uuid    not null,
    chunk_no   integer not null,
    code       text    not null,
    n          bigint  not null,
    first_line bigint  not null,
    primary key (upload_id, chunk_no, code)
);
