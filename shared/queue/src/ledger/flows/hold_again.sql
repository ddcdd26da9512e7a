-- Stages that were stopped because of these, at whatever distance, wait again, and those of their members that were stopped with
-- them. A row for each, with its flow.
with recursive again as (
    select group_id, flow_id from gristmill.flow_stages where flow_id = any($2) and stopped and after && $1
    union
    select s.group_id, s.flow_id from again a
    join gristmill.flow_stages s on s.flow_id = a.flow_id and s.stopped and a.group_id = any(s.after)
), held as (
    update gristmill.flow_stages s set held = true, stopped = false from again a where s.group_id = a.group_id
    returning s.group_id
), waiting as (
    select j.id from gristmill.jobs j join again a on a.group_id = j.group_id
    where j.state = 'cancelled' and j.cancel_requested_at is null for update of j skip locked
), revived as (
    update gristmill.jobs j set state = 'scheduled', finished_at = null, rounds = j.rounds + j.attempt + 1, attempt = 0,
        run_at = case when j.order_key is null then greatest(j.run_at, timestamptz '9000-01-01 00:00:00+00')
                      else timestamptz '9999-12-31 00:00:00+00' end,
        due_at = case when j.order_key is not null then timestamptz '9000-01-01 00:00:00+00' end,
        gate = case when j.order_key is not null then 'turn' end,
        order_seq = case when j.order_key is not null then nextval('gristmill.job_order') end
    from waiting w where j.id = w.id returning j.group_id, j.order_key
), turns as (
    insert into gristmill.order_turns (key) select distinct order_key from revived where order_key is not null
), members as (
    select a.group_id, count(r.group_id) as n from again a left join revived r on r.group_id = a.group_id group by a.group_id
), opened as (
    update gristmill.groups g set state = 'open', finished_at = null, cancelled = g.cancelled - m.n
    from members m where g.id = m.group_id and g.state = 'cancelled'
    returning g.parent_id
)
select parent_id from opened
