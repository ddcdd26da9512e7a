-- The longest record of a file, as who received it cut it: who reads it must draw the same line. Null: begun before it was kept.
alter table uploads add column max_record_bytes bigint;
