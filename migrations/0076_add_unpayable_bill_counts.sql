-- Bills of a run that nothing can carry: they are made, and nobody is mailed about them. Null: the run ended before they
-- were counted.
alter table billing_runs add column unpayable bigint;
alter table billing_shards add column unpayable bigint not null default 0;
