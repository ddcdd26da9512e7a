-- Members of a group by their state: what ended goes from beside a million dead ones without a look at these.
create index jobs_members on jobs (group_id, state) where group_id is not null;
drop index jobs_group;
