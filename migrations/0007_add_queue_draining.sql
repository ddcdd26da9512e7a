-- A queue that drains: when no job of before this time is due any more, it is paused.
alter table queues add column draining_at timestamptz;
