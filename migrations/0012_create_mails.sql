-- A mail is sent once: this row is there before it is, and says `sent` after the server said that it has it.
create table mails (
    id            uuid        primary key, -- version 7
    client_id     integer     not null, -- no reference: it would be looked up for each of a million mails
    kind          text        not null check (kind in
                      ('bill_new', 'bill_reminder', 'bill_overdue', 'payment_receipt', 'upload_completed', 'upload_failed')),
    ref           text        not null, -- what it is about: of its kind and client there is one mail about it
    recipient     text        not null,
    subject       text        not null,
    message_id    text        not null,
    -- sending: not sent yet, by whatever it was held up; the others are final
    state         text        not null default 'sending' check (state in ('sending', 'sent', 'failed', 'suppressed')),
    -- dialogues with the server that ended without its `250`, or with it
    attempts      integer     not null default 0,
    last_error    text,
    -- failed by running out of attempts: its job may be redriven
    gave_up       boolean     not null default false,
    -- who is sending it right now; a silent one has lost it
    claimed_by    uuid,
    claimed_until timestamptz,
    -- the mail itself is in the object store, its text here
    kept          boolean     not null default false,
    text          text,
    bounce        text check (bounce in ('hard', 'soft')),
    bounced_at    timestamptz,
    created_at    timestamptz not null default now(),
    sent_at       timestamptz
) with (fillfactor = 80);

create unique index mails_once on mails (client_id, kind, ref);
create index mails_client on mails (client_id, id desc);
create index mails_recipient on mails (client_id, lower(recipient), id desc);
create index mails_unsent on mails (client_id, id desc) where state <> 'sent';

-- Addresses that a client's mails do not go to.
create table mail_suppressions (
    client_id integer     not null references clients (id) on delete cascade,
    address   text        not null check (address = lower(address)),
    reason    text        not null,
    since     timestamptz not null default now(),
    primary key (client_id, address)
);
