-- The rows of an upload in the order of its file, a thousand a row: for kinds whose results are read in that order. An index
-- on upload and line costs a load six times as much. A key whose row is another line's, or another upload's, is passed over.
create table file_order (
    upload_id uuid     not null,
    last_line bigint   not null,
    lines     bigint[] not null,
    keys      uuid[]   not null, -- as many
    primary key (upload_id, last_line)
);
-- Random bits do not get shorter by compressing them.
alter table file_order alter column lines set storage external, alter column keys set storage external;

insert into file_order (upload_id, last_line, lines, keys)
select upload_id, max(line), array_agg(line order by line), array_agg(transaction_id order by line)
from (select upload_id, line, transaction_id, (row_number() over (partition by upload_id order by line) - 1) / 1000 as piece
      from transactions) t
group by upload_id, piece;

drop index transactions_upload;
