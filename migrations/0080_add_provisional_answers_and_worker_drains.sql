-- An answer that a request in several transactions keeps with each of them. It is given only once nobody works on the request
-- any more.
alter table idempotent_requests add column provisional boolean not null default false;

-- Workers that are to take no more jobs, and that Redis has not been told of yet. Empty but for moments.
create table worker_drains (
    worker_id uuid        primary key,
    asked_at  timestamptz not null default now()
);
