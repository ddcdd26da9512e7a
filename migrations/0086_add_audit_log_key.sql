-- With which key it was done: two operators may have keys of one client. Null: by the link of `gristmill up`.
alter table audit_log add column key text;
