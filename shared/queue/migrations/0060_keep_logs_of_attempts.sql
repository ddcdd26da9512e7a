-- What the attempts of jobs have said: a row for each attempt that has said something.
create table job_logs (
    job_id  uuid    not null references jobs (id) on delete cascade,
    attempt integer not null, -- which one it was, from 1
    -- the last lines: [{"at": "2026-01-31T07:00:00Z", "level": "info", "message": "…"}, …]
    lines   jsonb   not null,
    -- lines before these that were not kept
    dropped bigint  not null default 0,
    primary key (job_id, attempt)
);
