create schema test_clock;
create table test_clock.moved (by interval not null);
insert into test_clock.moved values ('0');
create function test_clock.now() returns timestamptz language sql stable parallel safe
    as 'select pg_catalog.now() + (select moved.by from test_clock.moved)';
create function test_clock.clock_timestamp() returns timestamptz language sql volatile parallel safe
    as 'select pg_catalog.clock_timestamp() + (select moved.by from test_clock.moved)';

-- Defaults know the function they were made with, not its name.
do $$
declare
    known record;
begin
    for known in
        select a.attrelid::regclass as of, a.attname, replace(pg_get_expr(d.adbin, d.adrelid), 'pg_catalog.', '') as what
        from pg_attrdef d
        join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
        join pg_class c on c.oid = d.adrelid
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname not in ('pg_catalog', 'information_schema')
    loop
        if known.what in ('now()', 'clock_timestamp()', 'CURRENT_TIMESTAMP') then
            execute format('alter table %s alter column %I set default test_clock.%s', known.of, known.attname,
                           case known.what when 'clock_timestamp()' then known.what else 'now()' end);
        end if;
    end loop;
    execute format('alter database %I set search_path = test_clock, pg_catalog, public', current_database());
end
$$;

-- Sessions know the search path from their start.
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
