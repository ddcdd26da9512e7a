-- What is wrong with a record beside its first fault: [{"column", "code", "message"}, …]. Most have one, and null here.
alter table rejects add column other_faults jsonb;
