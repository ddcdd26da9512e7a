-- Parts of chunks that took their workers down: each is tried alone in its process, and halved when it ends no better. A
-- part is here until it is counted; a chunk with none left is done.
create table chunk_parts (
    upload_id  uuid    not null references uploads (id) on delete cascade,
    no         integer not null,
    first_byte bigint  not null, -- of the chunk's object, 0-based
    end_byte   bigint, -- the one behind its last; null: the object's end
    first_line bigint  not null, -- of the file, 1-based
    -- tries begun in this attempt of its job: when another one begins, the process of each of them is gone
    tries      integer not null default 0,
    attempt    integer not null default 0,
    primary key (upload_id, no, first_byte)
);
