-- Strict order: jobs of one order key run one at a time, in the order in which they were enqueued.
--
-- A job that waits for something beside its time is at a gate. It is scheduled for the end of time, so that nobody who looks for
-- what is due looks at it, and due_at has what its time is. Its turn comes when no job of its key is before it: one that is to
-- run, runs, waits for its next attempt or is parked.

alter table jobs
    add column order_key text,
    -- its place among those of the key: one that is brought back gets a new one, behind them
    add column order_seq bigint,
    -- turn: waits until those of its key that are before it have ended
    add column gate      text,
    -- its time, while it waits at a gate
    add column due_at    timestamptz;
create sequence job_order;

-- Whatever goes wrong elsewhere, no two of a key are let in at a time.
create unique index jobs_let_in_by_order_key on jobs (order_key)
    where order_key is not null and state in ('available', 'scheduled', 'parked') and gate is distinct from 'turn';
create index jobs_waiting_for_turn on jobs (order_key, order_seq) where gate = 'turn' and state = 'scheduled';

-- Keys of which a job has come or ended since the sweep let the next one in. Empty but for moments.
create table order_turns (
    id  bigint primary key generated always as identity,
    key text   not null
);

create function tell_of_turns() returns trigger language plpgsql set search_path from current as $$
begin
    perform pg_notify(current_schema(), 'turns');
    return null;
end $$;
create trigger order_turns_tell after insert on order_turns for each statement execute function tell_of_turns();

-- No producer waits for another one: each job comes to the gate, and the sweep says whose turn it is.
create function wait_for_turn() returns trigger language plpgsql set search_path from current as $$
begin
    new.order_seq := nextval('job_order');
    new.due_at := new.run_at;
    new.run_at := timestamptz '9999-12-31 00:00:00+00';
    new.state := 'scheduled';
    new.gate := 'turn';
    insert into order_turns (key) values (new.order_key);
    return new;
end $$;
create trigger jobs_wait_for_turn before insert on jobs
    for each row when (new.order_key is not null) execute function wait_for_turn();

-- However a job ends, and in whatever version of the program.
create function give_turn() returns trigger language plpgsql set search_path from current as $$
begin
    insert into order_turns (key) values (new.order_key);
    return null;
end $$;
create trigger jobs_give_turn after update of state on jobs
    for each row when (new.order_key is not null and new.state in ('completed', 'dead', 'cancelled')
                       and old.state in ('available', 'scheduled', 'parked') and old.gate is distinct from 'turn')
    execute function give_turn();
