-- A duplicate that says something else than the row that has its key: in which columns, by the file's names for them. Null: it says
-- the same, or it came before there was a comparison. Empty: the row that it was compared with has lost its place to another line,
-- so the join compares it again.
alter table rejects add column differs text[];
-- Of `duplicate`, those that say something else.
alter table chunks add column conflicting bigint not null default 0;
alter table upload_progress add column conflicting bigint not null default 0;
