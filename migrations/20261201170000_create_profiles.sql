-- What clients have saved of how their files are written, so that it need not be said with each: a profile is named (`profile=`), or chosen by
-- the header of a file. An upload keeps what held for it (`uploads.dialect`, `reading`), so a change here changes none.
create table profiles (
    client_id   integer     not null references clients (id) on delete cascade,
    name        text        not null,
    kind        text        not null,
    -- what it says, by the names of the parameters of an upload
    said        jsonb       not null,
    -- the names of the columns in the header that chooses it, as they were given; null: it holds where it is named
    header      text[],
    -- of these names, without what does not count in them
    fingerprint bytea,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    primary key (client_id, name)
);
-- A header chooses one.
create unique index profiles_header on profiles (client_id, kind, fingerprint) where fingerprint is not null;
