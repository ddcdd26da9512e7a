-- The queue has a schema and migrations of its own (`shared/queue/migrations`), as every application of it has. What is there
-- moves: no row is written, each table is locked for a moment. `gristmill_queue::migrate` runs next and goes on from here.
--
-- Processes of the release before go on through views of the same names, until the release after this one drops these.
create schema if not exists gristmill;

do $$
declare
    moved text;
begin
    foreach moved in array array['groups', 'jobs', 'job_attempts', 'job_keys', 'queues', 'schedules', 'schedule_ticks',
                                 'waiting_room', 'worker_drains'] loop
        if to_regclass('gristmill.' || moved) is not null then
            raise exception 'there is a queue in the schema gristmill already: this application needs a database of its own';
        end if;
        execute format('alter table public.%I set schema gristmill', moved);
        execute format('create view public.%I as select * from gristmill.%I', moved, moved);
    end loop;
end $$;
alter statistics public.jobs_queues set schema gristmill;
