-- What all bills of a run have in common is the run's, and the file is the debt's: a run's writing is as long as its rows.
alter table billing_runs add column currency text;
update billing_runs r set currency = b.currency
from (select distinct on (run_id) run_id, currency from bills order by run_id) b where b.run_id = r.id;

create temporary table bills_before on commit drop as select * from bills;
drop table bills;

-- The payer and the file are the debt's: debts do not change, and those of a billed upload stay.
create table bills (
    client_id    integer not null,
    period       date    not null,
    number       bigint  not null,
    debt_id      uuid    not null,
    run_id       uuid    not null,
    amount_minor bigint  not null,
    paid_minor   bigint  not null default 0,
    due_on       date    not null,
    -- overdue is not a state but a date: open, and due before today
    state        text    not null default 'open' check (state in ('open', 'paid', 'cancelled')),
    primary key (client_id, number),
    -- a debt is billed once a period, whoever tries
    unique (debt_id, client_id, period)
);

insert into bills (client_id, period, number, debt_id, run_id, amount_minor, paid_minor, due_on, state)
select client_id, period, number, debt_id, run_id, amount_minor, paid_minor, due_on, state
from bills_before order by client_id, number;
