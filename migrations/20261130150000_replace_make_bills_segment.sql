-- The bills of an upload's own segment are written by one run. So their table is made without indexes, which the run's close,
-- its failure or its cancel makes at once, and only then becomes part of the bills. Workers of before 20261130140000 cannot bill on this
-- schema, so none closes a run without that.

-- A table for the bills of a segment's debts, where there is none yet. The first run that bills an upload's own segment fills it without
-- indexes; any other finds them.
create or replace function make_bills_segment(segment integer) returns void
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    leaf text := format('bills_%s', segment);
    own boolean := (select s.upload_id is not null from row_segments s where s.id = segment);
begin
    perform pg_advisory_xact_lock(hashtext('bills'), segment);
    if to_regclass(leaf) is null then
        execute format('create table %I (like bills including defaults including constraints, check (segment = %s))', leaf, segment);
        execute format('alter table %I alter column segment set default %s', leaf, segment);
        if own then
            return;
        end if;
    end if;
    perform attach_bills_segment(segment);
end $$;

-- Indexes the table of a segment's bills and makes it part of the bills, if there is one and it is not yet.
create function attach_bills_segment(segment integer) returns void
    language plpgsql security definer set search_path = public, pg_temp set maintenance_work_mem = '256MB' as $$
declare leaf text := format('bills_%s', segment);
begin
    perform pg_advisory_xact_lock(hashtext('bills'), segment);
    if to_regclass(leaf) is null or exists (select from pg_inherits where inhrelid = to_regclass(leaf)) then
        return;
    end if;
    execute format('create unique index %I on %I (client_id, number)', leaf || '_number', leaf);
    execute format('create unique index %I on %I (debt_id, client_id, period)', leaf || '_debt', leaf);
    execute format('alter table bills attach partition %I for values in (%s)', leaf, segment);
end $$;

-- As of the other functions of segments.
revoke execute on function attach_bills_segment from public;
