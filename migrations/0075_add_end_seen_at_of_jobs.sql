-- A job that died or was cancelled by hand leaves something behind that waits for it: a delivery, a request, a mail, a run.
-- The scheduler ends that. Until it has, the job is in this index, which is empty on most days; a job that was run again and
-- ended again is in it again.
alter table jobs add column end_seen_at timestamptz; -- the `finished_at` of the end that was seen to
create index jobs_ends_unseen on jobs (id)
    where state in ('dead', 'cancelled') and end_seen_at is distinct from finished_at
      and name in ('webhooks.deliver', 'webhooks.announce_bills', 'normalizations.normalize', 'mail.send', 'mail.bills',
                   'billing.plan', 'billing.close', 'billing.fail');
