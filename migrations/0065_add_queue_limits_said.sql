-- Whether somebody has said what a queue is held to. That it was paused, drained or resumed says nothing of that.
alter table queues add column limits_said boolean not null default false;
update queues set limits_said = true
where concurrency is not null or rate_per_second is not null or burst is not null or key_concurrency is not null;
