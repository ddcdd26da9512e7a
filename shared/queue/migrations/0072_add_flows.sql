-- A flow is a group whose members are groups, its stages, some of which wait for others.
alter table groups add column is_flow boolean not null default false;

create table flow_stages (
    group_id      uuid    primary key references groups (id) on delete cascade,
    flow_id       uuid    not null references groups (id) on delete cascade,
    name          text    not null,
    -- the stages that it waits for
    after         uuid[]  not null,
    -- when one of them has failed, or was cancelled: it is cancelled, too, or does as if nothing was
    after_failure text    not null check (after_failure in ('cancel', 'continue')),
    -- it waits: its members are scheduled for 9000-01-01 and later, by as much as they are to be delayed
    held          boolean not null,
    -- cancelled because of a stage before: it waits again when that is run again
    stopped       boolean not null default false,
    unique (flow_id, name)
);
create index flow_stages_held on flow_stages (flow_id) where held;

-- Stages that wait no more, and whose members the sweep has still to let go. Empty but for moments.
create table stages_to_release (
    group_id uuid primary key
);
