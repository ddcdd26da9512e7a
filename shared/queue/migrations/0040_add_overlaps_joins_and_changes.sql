-- What a tick does while the job of the one before has not ended: fires, or is skipped.
alter table schedules add column overlap text not null default 'allow' check (overlap in ('allow', 'skip'));
alter table schedule_ticks drop constraint schedule_ticks_cause_check;
alter table schedule_ticks add constraint schedule_ticks_cause_check
    check (cause in ('due', 'caught_up', 'run_now', 'missed', 'skipped'));

-- The group that this job is the join of: it reads its members' results.
alter table jobs add column join_of uuid;
