-- Rows that were kept for long enough go (`--keep-rows`), a partition at a time: deleting billions of them row by row would cost
-- as much as writing them did, and leave their tables as large as they were. What becomes of them: docs/internals/segments.md.
--
-- Nothing is dropped unless the setting says so. Processes of the version before know of no upload without its rows: they would
-- answer its file with it when that is sent again. So the setting is to be given when none of them runs any more.
alter table uploads
    -- its rows were kept for long enough and are gone; its counts, its chunks and its rejects stay
    add column rows_dropped_at timestamptz;

alter table row_segments
    -- when it was last asked whether its rows may go: it is asked again after a hundredth of the time for which they are kept
    add column looked_at timestamptz,
    drop constraint row_segments_state_check,
    -- dropping: its rows do not count any more, and its partition is about to go
    add constraint row_segments_state_check check (state in ('filling', 'indexed', 'open', 'full', 'sealed', 'dropping'));

-- The uploads whose rows are in a segment. Those of before there were segments are in their table's first one; of an upload
-- without rows nothing is there.
create function uploads_of_segment(of_segment integer) returns setof uuid language sql stable as $$
    select s.upload_id from row_segments s where s.id = of_segment and s.upload_id is not null
    union all
    select p.upload_id from upload_progress p where p.segment = of_segment and p.accepted > 0
    union all
    select u.id
    from row_segments s
    join uploads u on u.kind = s.table_name and u.state = 'completed' and u.rows_dropped_at is null
    join upload_progress p on p.upload_id = u.id and p.segment is null and p.accepted > 0
    where s.id = of_segment
      and s.id = (select min(f.id) from row_segments f where f.table_name = s.table_name and f.upload_id is null)
      and not exists (select from row_segments o where o.upload_id = u.id)
$$;

-- Drops a segment that is `dropping`, with the bills of its debts. A partition cannot be detached concurrently by a function, so it
-- takes the whole table for a moment: who calls this gives it a `lock_timeout`, and tries again later. A table's first segment is
-- emptied, as uploads of before there were segments are looked for there.
create function drop_old_segment(segment integer) returns void
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    of_table text;
    is_first boolean;
    bills text := format('bills_%s', segment);
begin
    select s.table_name,
           s.id = (select min(f.id) from row_segments f where f.table_name = s.table_name and f.upload_id is null)
    into of_table, is_first from row_segments s where s.id = segment and s.state = 'dropping' for update;
    if not found then
        return;
    end if;
    if is_first then
        execute format('truncate %I', format('%s_%s', of_table, segment));
        if to_regclass(bills) is not null then
            execute format('truncate %I', bills);
        end if;
        update row_segments set state = 'sealed', key_filter = null, run_id = null where id = segment;
        return;
    end if;
    perform drop_segment(segment);
    execute format('drop table if exists %I', bills);
end $$;

-- As of the other functions of segments.
revoke execute on function drop_old_segment from public;
