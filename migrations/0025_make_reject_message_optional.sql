-- A duplicate's message says nothing that `first_upload_id` and `first_line` do not: it is not kept but made when read. A
-- file that is sent again is a million of them.
alter table rejects alter column message drop not null;
