"""The tables that each peer fills, in a database of their own on Gristmill's Postgres."""

import psycopg

TABLES = """
create table uploads (
    id uuid primary key, state text not null default 'processing', chunks int, done int not null default 0,
    accepted bigint not null default 0, rejected bigint not null default 0, duplicate bigint not null default 0
);
create table debts (
    debt_id uuid primary key, upload_id uuid not null, line bigint not null, amount_minor bigint not null, due_date date not null,
    name text not null, government_id text not null, email text not null
);
create table rejects (upload_id uuid not null, line bigint not null, code text not null, record text not null);
"""


def make(url):
    """A new database beside the one of this address; returns its address."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("drop database if exists peer with (force)")
        admin.execute("create database peer")
        admin.execute("checkpoint")
    own = url.replace("/gristmill?", "/peer?")
    with psycopg.connect(own) as connection:
        connection.execute(TABLES)
    return own


def load(connection, copy):
    """`copy(table)` straight into the keyed table, or around it when a key is taken; returns how many rows were new."""
    with connection.transaction():
        try:
            with connection.transaction():
                return copy("debts")
        except psycopg.errors.UniqueViolation:
            connection.execute("create temporary table staged (like debts) on commit drop")
            copy("staged")
            return connection.execute("insert into debts select * from staged on conflict do nothing").rowcount
