-- A client's dead, parked and cancelled jobs are found and counted without a look at those of others.
create index jobs_unusual_by_client on jobs (client_id, state, id)
    where state in ('dead', 'cancelled', 'parked') and client_id is not null;
