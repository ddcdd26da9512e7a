-- A delivery of a job is known outside by a number that no other one of the job has. The broker counts again from one whenever the
-- job comes back to it, so the number begins with the job's round, which is attempt + rounds.
alter table jobs
    -- how often it came back without another attempt being counted: snoozed, asleep, parked; or with fewer, as it was run again
    add column rounds integer not null default 0;
