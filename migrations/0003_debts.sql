-- Rows of the kind `debts`. They count when their upload is completed, not before.
create table debts (
    debt_id       uuid    not null,
    client_id     integer not null,
    upload_id     uuid    not null,
    line          bigint  not null,
    amount_minor  bigint  not null,
    due_date      date    not null,
    name          text    not null,
    government_id text    not null,
    email         text    not null,
    -- the id first: it tells apart at the first comparison, and a chunk is loaded in its order
    primary key (debt_id, client_id)
);

-- Rows arrive upload by upload, and upload ids grow with time: a block range index finds an upload's rows at no cost.
create index debts_upload on debts using brin (upload_id) with (pages_per_range = 32, autosummarize = on);
