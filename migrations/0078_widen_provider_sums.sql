-- Sums of amounts are as wide as they need to be. Both tables are rewritten under a lock: 2 s
-- for 1.5 million spans. Processes of the version before still add to the sums, exactly; their reads of them are refused by
-- their own type check until they are replaced.
alter table provider_totals alter column net_fee_minor type numeric;
alter table provider_spans alter column net_fee_minor type numeric;
