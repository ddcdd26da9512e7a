-- Roles that nobody would miss at once say that they are there: the scheduler, without which nothing is done by the clock.
create table role_signs (
    role    text primary key,
    seen_at timestamptz not null
);
