-- Jobs that are due and for which Redis has no place yet: their queue has as many there as it may. In the order of their
-- turns: each line (a queue, a priority and a fair key) waits for itself. Empty but for a long backlog. A row may outlive its job.
create table waiting_room (
    queue    text     not null,
    priority smallint not null,
    fair_key text     not null,
    job_id   uuid     not null,
    primary key (queue, priority, fair_key, job_id)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
