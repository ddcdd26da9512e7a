-- The rows of upload $1 by what became of those of upload $2. `met`: where the rows were that had the keys of $1 when it was completed. What
-- was replaced between the two is followed back to what $2 knew.
with recursive met (upload_id, line, how) as (
    select upload_id, line, 'changed' from replaced_rows where replaced_by = $1
    union all
    select first_upload_id, first_line, min(case when differs is null then 'unchanged' else 'kept' end)
    from rejects where upload_id = $1 and code in ('duplicate', 'billed') and first_upload_id <> $1
    group by first_upload_id, first_line
), traced (upload_id, line, from_upload, from_line) as (
    select upload_id, line, upload_id, line from met
    union
    select r.upload_id, r.line, t.from_upload, t.from_line
    from traced t join replaced_rows r on r.replaced_by = t.upload_id and r.by_line = t.line
    where t.upload_id <> $2
), theirs (upload_id, line) as (
    select distinct first_upload_id, first_line from rejects
    where upload_id = $2 and code in ('duplicate', 'billed') and first_upload_id <> $2
), both_have (upload_id, line, how) as (
    select distinct m.upload_id, m.line, m.how
    from traced t join met m on m.upload_id = t.from_upload and m.line = t.from_line
    where t.upload_id = $2 or exists (select from theirs where theirs.upload_id = t.upload_id and theirs.line = t.line)
), counted as (
    select count(*) as common, count(*) filter (where how = 'changed') as changed,
           count(*) filter (where how = 'unchanged') as unchanged, count(*) filter (where how = 'kept') as kept
    from both_have
)
select $2 as against, p.accepted - p.replaced + (select count(*) from met) - c.common as new,
       c.changed, c.unchanged, c.kept,
       a.accepted + (select count(*) from theirs) - c.common as missing
from counted c, upload_progress p, upload_progress a where p.upload_id = $1 and a.upload_id = $2
