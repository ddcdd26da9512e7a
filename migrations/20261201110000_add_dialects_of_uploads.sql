-- A file need not be UTF-8 with commas: how it is written is said by who sends it, or found while it arrives, and stands with its
-- upload. Workers read by what stands there and find nothing again, so that every chunk of a file is read alike, by whatever version.
--
-- All of it is null for a plain file. Processes of the version before make no others, but know none either: they load no chunk of
-- a file with a `reading` (its jobs are of a version that they park), and do not close one with `text_bytes`, as its bytes do not add up
-- for them. So workers are renewed before the API.
alter table uploads
    -- what was said or found, and what shows it: for people
    add column dialect jsonb,
    -- the part of it by which records are read; fixed before the first chunk is enqueued, and then never changed
    add column reading jsonb,
    -- what the client said, as parameters: a request with the same idempotency key says the same
    add column said text,
    -- bytes of the file in UTF-8, which header and chunks have together; null: as `bytes`, which it was sent with
    add column text_bytes bigint;

alter table upload_keys
    -- as in `uploads`
    add column said text;
