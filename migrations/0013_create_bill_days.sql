-- Which of a shard's bills are payable on which day, and when their payers are next to be reminded: a few hundred rows a
-- shard, so that a day's bills are found without an index on a million bills.
create table bill_days (
    client_id   integer not null,
    from_number bigint  not null,
    to_number   bigint  not null, -- inclusive
    -- the due date; the day of issue, where that is later
    payable_on  date    not null,
    bills       bigint  not null,
    -- the steps up to this day of the client's calendar are done
    looked_on   date    not null,
    -- the day of the next step; null: there is none
    next_on     date,
    primary key (client_id, from_number, payable_on)
);
create index bill_days_next on bill_days (next_on, client_id) where next_on is not null;

-- Of bills that were there before, what is due from now on.
insert into bill_days
select b.client_id, n.from_number, n.to_number, greatest(b.due_on, b.issued_on), count(*), current_date, current_date + 1
from bills b
join billing_numbers n on n.run_id = b.run_id and b.number between n.from_number and n.to_number
group by b.client_id, n.from_number, n.to_number, greatest(b.due_on, b.issued_on);
