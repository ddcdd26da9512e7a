-- What the jobs before this one came to: the members of the group that it is the join of (of all stages, where that is a flow), or
-- the jobs of the stages that its own stage waited for, or those of one stage of its flow.
with self as (
    select j.join_of, s.flow_id, s.after from gristmill.jobs j left join gristmill.flow_stages s on s.group_id = j.group_id where j.id = $1
), before as (
    select join_of as group_id from self where join_of is not null and $4::text is null
    union
    select s.group_id from self join gristmill.flow_stages s on s.flow_id = self.join_of where $4 is null or s.name = $4
    union
    select unnest(after) from self where $4 is null
    union
    select s.group_id from self join gristmill.flow_stages s on s.flow_id = self.flow_id where s.name = $4
)
select m.id, m.name, m.state, m.result::text
from gristmill.jobs m
where m.group_id = any(array(select group_id from before)) and ($2::uuid is null or m.id > $2)
order by m.id limit $3
