-- Limits by the name of a job, whichever queue it is in, and pools of slots that jobs of several names take part of.
--
-- Who is let in is said when a worker is about to start the job. One that is not waits at a gate (see 0050), outside the broker,
-- where it is in nobody's way, and is called when there is room.

alter table jobs
    -- when there was room for it; what is called long before it comes holds no slot
    add column called_at timestamptz;
comment on column jobs.gate is
    'turn: waits until those before it have ended; slot: waits for room; called: there is some, and it is on its way; inside: has it, until it stops running';

-- What is said of the jobs of one name; one that is not here has no limits.
create table job_limits (
    name            text             primary key,
    -- those that run at a time, in all workers
    concurrency     integer          check (concurrency > 0),
    -- starts a second, and how many may start at once after a silence
    rate_per_second double precision check (rate_per_second > 0),
    burst           integer          check (burst > 0),
    -- those of one fair key that run at a time
    key_concurrency integer          check (key_concurrency > 0),
    -- the slots that each of them takes of pools: {"gpu": 2}
    uses            jsonb            not null default '{}' check (jsonb_typeof(uses) = 'object'),
    -- whether somebody has said so; else it is what the application came with
    limits_said     boolean          not null default false,
    updated_at      timestamptz      not null default now(),
    is_limited      boolean          not null generated always as (
        concurrency is not null or rate_per_second is not null or key_concurrency is not null or uses <> '{}') stored,
    -- the starts that are saved up, and since when
    tokens          double precision,
    filled_at       timestamptz,
    -- behind which fair key the next turn begins
    turn            text             collate "C" not null default ''
);

-- Slots that jobs of several names share.
create table slot_pools (
    name        text        primary key,
    slots       integer     not null check (slots > 0),
    limits_said boolean     not null default false,
    updated_at  timestamptz not null default now()
);

-- Only jobs that are held to a limit are in these.
create index jobs_in_slots on jobs (name, fair_key) where gate in ('called', 'inside') and state in ('available', 'scheduled');
create index jobs_waiting_for_slot on jobs (name, priority, (coalesce(fair_key, '') collate "C"), due_at, id)
    where gate = 'slot' and state = 'scheduled';

-- However a job stops running, and in whatever version of the program.
create function tell_of_slot() returns trigger language plpgsql set search_path from current as $$
begin
    perform pg_notify(current_schema(), 'slots');
    return null;
end $$;
create trigger jobs_tell_of_slot after update of state on jobs
    for each row when ((old.gate = 'inside' and old.state = 'available' and new.state <> 'available')
                       or (old.gate = 'called' and new.state not in ('available', 'scheduled')))
    execute function tell_of_slot();

-- Jobs of this name that have a slot; with those that are on their way to one, if `called`; of one fair key, if it is given.
create function slots_taken(job text, called boolean, key text default null) returns bigint
language sql stable set search_path from current as $$
    select count(*) from jobs j
    where j.name = job and j.gate in ('called', 'inside') and j.state in ('available', 'scheduled')
      and (key is null or j.fair_key = key)
      and ((j.gate = 'inside' and j.state = 'available')
           or (called and j.gate = 'called' and j.called_at > clock_timestamp() - interval '10 seconds'))
$$;

-- Starts that are saved up now, by the rate of this name.
create function starts_saved(limits job_limits) returns double precision
language sql stable set search_path from current as $$
    select least(size, case when (limits).tokens is null then size
        else (limits).tokens
             + greatest(0, extract(epoch from clock_timestamp() - (limits).filled_at)) * (limits).rate_per_second end)
    from (select greatest(1, coalesce((limits).burst, ceil((limits).rate_per_second))) as size) bucket
$$;

-- Pools that have too few free slots for one more of these jobs.
create function pools_short_of(limits job_limits, called boolean) returns text[]
language sql stable set search_path from current as $$
    select coalesce(array_agg(p.name), '{}')
    from jsonb_each_text((limits).uses) u join slot_pools p on p.name = u.key
    where u.value::bigint > p.slots - (
        select coalesce(sum((o.uses->>p.name)::bigint * slots_taken(o.name, called)), 0) from job_limits o where o.uses ? p.name)
$$;

-- How many more of these jobs may start now.
create function room_for(limits job_limits, called boolean) returns bigint
language sql stable set search_path from current as $$
    select least(
        1000000,
        (limits).concurrency - slots_taken((limits).name, called),
        case when (limits).rate_per_second is not null then
            floor(starts_saved(limits) + 1e-6)::bigint
            - case when called then slots_taken((limits).name, true) - slots_taken((limits).name, false) else 0 end end,
        (select min(floor((p.slots - (
            select coalesce(sum((o.uses->>p.name)::numeric * slots_taken(o.name, called)), 0) from job_limits o where o.uses ? p.name
         )) / u.value::numeric))::bigint
         from jsonb_each_text((limits).uses) u join slot_pools p on p.name = u.key))
$$;

-- One admission of these names at a time. Pools come before names, each in the order of their names.
create function lock_limits(names text[]) returns void language plpgsql set search_path from current as $$
begin
    perform from slot_pools p
    where p.name in (select jsonb_object_keys(l.uses) from job_limits l where l.name = any(names))
    order by p.name for update;
    perform from job_limits l where l.name = any(names) order by l.name for update;
end $$;

-- Lets those of these jobs start that there is room for, and returns them. The others wait at the gate, behind those of their
-- name, and of names that share a pool with it, that wait there already.
create function admit(ids uuid[]) returns setof uuid language plpgsql set search_path from current as $$
declare
    names    text[];
    held     uuid[];
    limits   job_limits;
    job      record;
    -- for one that was called, and for one that was not
    room     bigint;
    free     bigint;
    started  bigint;
    may      boolean;
    wake     boolean := false;
begin
    select array_agg(distinct j.name) into names from jobs j where j.id = any(ids) and j.state = 'available';
    perform lock_limits(names);
    -- one that is delivered again has its slots
    return query select j.id from jobs j where j.id = any(ids) and j.state = 'available' and j.gate = 'inside';
    -- one that somebody changes at this moment is not waited for: nobody starts it, and the sweep finds it again
    held := array(
        select j.id from jobs j
        where j.id = any(ids) and j.state = 'available' and j.gate is distinct from 'inside' and j.name = any(names)
        order by j.id for update skip locked);
    for limits in select * from job_limits l where l.name = any(names) order by l.name loop
        room := room_for(limits, false);
        free := case when exists (
            select from jobs w join job_limits o on o.name = w.name
            where w.gate = 'slot' and w.state = 'scheduled'
              and (o.name = limits.name or o.uses ?| array(select jsonb_object_keys(limits.uses)))
        ) then 0 else room_for(limits, true) end;
        started := 0;
        for job in
            select j.id, j.gate, j.fair_key from jobs j
            where j.id = any(held) and j.name = limits.name
            order by j.gate is not distinct from 'called' desc, j.id
        loop
            may := case when job.gate = 'called' then room > 0 else room > 0 and free > 0 end
                   and (limits.key_concurrency is null or coalesce(job.fair_key, '') = ''
                        or slots_taken(limits.name, job.gate is distinct from 'called', job.fair_key) < limits.key_concurrency);
            if may then
                update jobs j set gate = 'inside', called_at = null where j.id = job.id;
                started := started + 1;
                room := room - 1;
                if job.gate is distinct from 'called' then
                    free := free - 1;
                end if;
                return next job.id;
            else
                update jobs j set state = 'scheduled', gate = 'slot', due_at = j.run_at, called_at = null,
                                  run_at = timestamptz '9999-12-31 00:00:00+00'
                where j.id = job.id;
                -- the sweep is to know when to look again, and whom to call in its place
                wake := wake or limits.rate_per_second is not null or room > 0;
            end if;
        end loop;
        if limits.rate_per_second is not null and started > 0 then
            update job_limits l set tokens = starts_saved(limits) - started, filled_at = clock_timestamp() where l.name = limits.name;
        end if;
    end loop;
    if wake then
        perform pg_notify(current_schema(), 'slots');
    end if;
    -- nobody limits these any more
    return query select j.id from jobs j
        where j.id = any(ids) and j.state = 'available' and not exists (select from job_limits l where l.name = j.name);
end $$;

-- Calls those that wait for room, as far as there is some: of each name the most urgent first, and of these the fair keys by turns.
-- Returns in how many seconds the next one may be called by a rate; null: none waits for that.
create function call_to_slots() returns double precision language plpgsql set search_path from current as $$
declare
    names   text[];
    limits  job_limits;
    first   record;
    short   text[];
    -- pools that somebody waits for who came before: nobody behind it takes of them
    closed  text[] := '{}';
    room    bigint;
    level   integer;
    place   text collate "C";
    rounds  integer;
    looks   integer;
    next_in double precision;
    missing double precision;
    job     record;
begin
    select array_agg(l.name) into names from job_limits l
    where exists (select from jobs j where j.name = l.name and j.gate = 'slot' and j.state = 'scheduled');
    if names is null then
        return null;
    end if;
    perform lock_limits(names);
    for first in
        select l.name from job_limits l cross join lateral (
            select j.priority, j.due_at from jobs j where j.name = l.name and j.gate = 'slot' and j.state = 'scheduled'
            order by j.priority, coalesce(j.fair_key, '') collate "C", j.due_at limit 1) waits
        where l.name = any(names) order by waits.priority, waits.due_at, l.name
    loop
        select * into limits from job_limits l where l.name = first.name;
        continue when limits.uses ?| closed;
        short := pools_short_of(limits, true);
        closed := closed || short;
        room := least(1000, room_for(limits, true));
        continue when short <> '{}' or (room <= 0 and limits.rate_per_second is null);
        level := -1;
        looks := 0;
        place := limits.turn;
        <<levels>>
        loop
            select min(j.priority) into level from jobs j
            where j.name = limits.name and j.gate = 'slot' and j.state = 'scheduled' and j.priority > level;
            exit when level is null or room <= 0;
            rounds := 0;
            loop
                exit levels when room <= 0 or looks >= 1000;
                looks := looks + 1;
                select j.id, coalesce(j.fair_key, '') as key into job from jobs j
                where j.name = limits.name and j.gate = 'slot' and j.state = 'scheduled' and j.priority = level
                  and coalesce(j.fair_key, '') collate "C" >= place
                order by coalesce(j.fair_key, '') collate "C", j.due_at, j.id limit 1 for update skip locked;
                if not found then
                    rounds := rounds + 1;
                    place := '';
                    exit when rounds > 1;
                    continue;
                end if;
                -- the next key, whatever it is
                place := job.key || chr(1);
                continue when limits.key_concurrency is not null and job.key <> ''
                    and slots_taken(limits.name, true, job.key) >= limits.key_concurrency;
                update jobs j set gate = 'called', called_at = clock_timestamp(), run_at = greatest(j.due_at, now()), due_at = null
                where j.id = job.id;
                room := room - 1;
                rounds := 0;
            end loop;
        end loop;
        update job_limits l set turn = place where l.name = limits.name and l.turn <> place;
        if limits.rate_per_second is not null then
            missing := 1 + slots_taken(limits.name, true) - slots_taken(limits.name, false) - starts_saved(limits);
            if missing > 0 then
                next_in := least(next_in, missing / limits.rate_per_second);
            end if;
        end if;
    end loop;
    return next_in;
end $$;
