-- What is read of jobs costs the same however many there are.

-- What waits, or waits for somebody, by queue: counted up to a bound, and the oldest of it found at once. A job pays one
-- entry for it and leaves it by being done.
create index jobs_by_queue on jobs (state, queue, run_at) where state in ('available', 'scheduled', 'dead', 'parked');
-- Beyond that bound the planner says about how many there are: of both columns together.
create statistics jobs_queues (mcv) on state, queue from jobs;

-- What is to be pruned, by when it ended and not by its id: an id need not be of version 7, and what is dead, or a member
-- of a group, is not walked over. Entries come in the order of time, at the right end.
create index jobs_prunable on jobs (finished_at)
    where state in ('completed', 'cancelled') and group_id is null and retain_seconds is null;
create index jobs_dead on jobs (finished_at) where state = 'dead';
