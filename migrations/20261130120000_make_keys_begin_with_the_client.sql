-- Keys of files' rows begin with the client: the rows that a client sends then touch its own pages of a key's index and nobody
-- else's, and its lists read nothing of others. Of 3 million rows of 30 clients 100,000 more of one wrote 130 MB of WAL by
-- the keys of before and 27 MB by these; a list of a client with 60 of them took 124 ms and takes 0.05 ms.
--
-- Bills keep theirs: they have a second key that begins with the client, and of a client that its statistics do not know the
-- planner would take either for the other.
--
-- `gristmill migrate` makes the indexes of tables that have rows before this file, concurrently
-- (`shared/platform/src/database/large_indexes.rs`). What is left here takes milliseconds, under a lock that waits for
-- the statements that run. Processes of the version before go on: they name the columns of a key, not its order.
create unique index if not exists debts_by_client on debts (client_id, debt_id);
alter table debts drop constraint debts_pkey, add constraint debts_pkey primary key using index debts_by_client;

create unique index if not exists transactions_by_client on transactions (client_id, transaction_id);
alter table transactions
    drop constraint transactions_pkey, add constraint transactions_pkey primary key using index transactions_by_client;

create unique index if not exists messages_by_client on messages (client_id, message_key);
alter table messages
    drop constraint messages_pkey, add constraint messages_pkey primary key using index messages_by_client;

create unique index if not exists claim_lines_by_client on claim_lines (client_id, line_id);
alter table claim_lines
    drop constraint claim_lines_pkey, add constraint claim_lines_pkey primary key using index claim_lines_by_client;

create unique index if not exists debt_payments_by_client on debt_payments (client_id, debt_id);
alter table debt_payments
    drop constraint debt_payments_pkey, add constraint debt_payments_pkey primary key using index debt_payments_by_client;
