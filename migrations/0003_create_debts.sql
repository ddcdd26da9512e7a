-- Rows of the kind `debts`. They count when their upload is completed, not before. The key is the only index: each
-- further one, even a block range index, costs a load a quarter of its time. An upload's rows are found by where its
-- first one can be (`uploads.first_block`).
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
