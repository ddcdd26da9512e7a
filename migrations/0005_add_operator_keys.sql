-- An operator's key sees and steers the queue; any other sees its client's own work.
alter table api_keys add column operator boolean not null default false;
