-- The jobs of a tag in the order of their ids: a page of them takes milliseconds however many there are, which no index on
-- `jobs.tags` can promise. Jobs without tags pay nothing: no trigger fires for them.
create table job_tags (
    tag    text not null,
    job_id uuid not null,
    primary key (tag, job_id)
);
insert into job_tags
    select distinct tag, id from jobs, unnest(tags) as tag where tags is not null and tag is not null;
drop index jobs_tagged;

create function keep_job_tags() returns trigger language plpgsql set search_path from current as $$
begin
    if tg_op <> 'INSERT' then
        delete from job_tags where tag = any(old.tags) and job_id = old.id;
    end if;
    if tg_op <> 'DELETE' then
        insert into job_tags select distinct tag, new.id from unnest(new.tags) as tag where tag is not null;
    end if;
    return null;
end $$;
create trigger jobs_tagged after insert on jobs
    for each row when (new.tags is not null) execute function keep_job_tags();
create trigger jobs_retagged after update of tags on jobs
    for each row when (new.tags is distinct from old.tags) execute function keep_job_tags();
create trigger jobs_untagged after delete on jobs
    for each row when (old.tags is not null) execute function keep_job_tags();
