-- A schedule's ticks from one time on, and up to another one. A schedule that is over has no `next_at`.
alter table schedules
    add column starts_at timestamptz,
    add column ends_at   timestamptz;
