//! Indexes that `migrate` makes before the migration that needs them, on tables that others write to meanwhile.

use std::{path::PathBuf, time::Duration};

use gristmill_platform::{
    database,
    testing::{Stack, empty_stack},
};
use sqlx::{Connection as _, PgConnection, migrate::Migrator};

/// The migration that wants them.
const KEYS: i64 = 20_261_130_120_000;

/// A row of each table, of two clients with the same ids.
const ROWS: &str = "
    insert into clients (id, name) overriding system value values (1, 'one'), (2, 'two');
    insert into debts select '00000000-0000-4000-8000-000000000001', client, gen_random_uuid(), 2, 100, '2030-01-01', 'Ana', '9558', 'ana@example.com'
        from unnest(array[2, 1]) client;
    insert into transactions (transaction_id, client_id, upload_id, line, amount_minor, date, description)
        select '00000000-0000-4000-8000-000000000001', client, gen_random_uuid(), 2, 100, '2030-01-01', 'Coffee' from unnest(array[2, 1]) client;
    insert into debt_payments select '00000000-0000-4000-8000-000000000001', client, 100 from unnest(array[2, 1]) client;";

/// A database as the release before left it.
async fn yesterday() -> Stack {
    let stack = empty_stack().await;
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
    let mut before = Migrator::new(folder).await.unwrap();
    before.migrations.to_mut().retain(|migration| migration.version < KEYS);
    before.run(&stack.pool).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&stack.pool).await.unwrap();
    stack
}

/// Every index that a primary key or a unique constraint is, with its columns; what was there is each table's first segment.
async fn keys(stack: &Stack) -> Vec<(String, String)> {
    sqlx::query_as(
        "select conname::text, (select string_agg(attname, ', ' order by place) from unnest(conkey) with ordinality as k (no, place)
                                join pg_attribute on attrelid = conrelid and attnum = no)
         from pg_constraint join pg_index on indexrelid = conindid and indisvalid
         where contype in ('p', 'u') and conrelid = any(array['debts_1', 'transactions_2', 'messages_3', 'claim_lines', 'debt_payments']::regclass[])
         order by 1",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap()
}

async fn indexes(stack: &Stack) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_index where indrelid = any(array['debts_1', 'debt_payments']::regclass[])",
    )
    .fetch_one(&stack.pool)
    .await
    .unwrap()
}

async fn assert_all_begin_with_the_client(stack: &Stack) {
    let keys = keys(stack).await;
    let keys: Vec<(&str, &str)> = keys.iter().map(|(name, columns)| (name.as_str(), columns.as_str())).collect();
    assert_eq!(
        keys,
        [
            ("claim_lines_pkey", "client_id, line_id"),
            ("debt_payments_pkey", "client_id, debt_id"),
            ("debts_pkey", "client_id, debt_id"),
            ("messages_pkey", "client_id, message_key"),
            ("transactions_pkey", "client_id, transaction_id"),
        ]
    );
    assert_eq!(indexes(stack).await, 3, "their keys and one by upload: nothing is left of what came before");
    for table in ["debts", "transactions", "debt_payments"] {
        let rows: i64 =
            sqlx::query_scalar(&format!("select count(*) from {table}")).fetch_one(&stack.pool).await.unwrap();
        assert_eq!(rows, 2, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_stopped_goes_on() {
    let stack = yesterday().await;
    // Who writes is waited for when the index is there, so this one is stopped before it is done.
    let mut writer = stack.pool.begin().await.unwrap();
    sqlx::query("update debts set line = 3").execute(&mut *writer).await.unwrap();
    let mut stopped = PgConnection::connect(&stack.database_url).await.unwrap();
    sqlx::query("set lock_timeout = '200ms'").execute(&mut stopped).await.unwrap();
    let create = "create unique index concurrently debts_by_client on debts (client_id, debt_id)";
    sqlx::query(create).execute(&mut stopped).await.unwrap_err();
    writer.rollback().await.unwrap();
    let whole: bool =
        sqlx::query_scalar("select indisvalid from pg_index where indexrelid = 'debts_by_client'::regclass")
            .fetch_one(&stack.pool)
            .await
            .unwrap();
    assert!(!whole, "what a stopped one leaves");
    // One that was finished before the stop stays as it is.
    sqlx::query("create unique index debt_payments_by_client on debt_payments (client_id, debt_id)")
        .execute(&stack.pool)
        .await
        .unwrap();

    let (one, other) = tokio::join!(database::migrate(&stack.pool), database::migrate(&stack.pool));
    one.unwrap();
    other.unwrap();
    assert_all_begin_with_the_client(&stack).await;
    database::ready(&stack.pool).await.unwrap();
    database::migrate(&stack.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_an_index_that_is_being_made() {
    let stack = yesterday().await;
    let mut writer = stack.pool.begin().await.unwrap();
    sqlx::query("update debts set line = 3").execute(&mut *writer).await.unwrap();
    let pool = stack.pool.clone();
    let migrated = tokio::spawn(async move { database::migrate(&pool).await });
    for _ in 0..600 {
        let made: bool = sqlx::query_scalar("select to_regclass('debts_by_client') is not null")
            .fetch_one(&stack.pool)
            .await
            .unwrap();
        if made {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut other = PgConnection::connect(&stack.database_url).await.unwrap();
    sqlx::query("set lock_timeout = '2s'").execute(&mut other).await.unwrap();
    sqlx::query("update debt_payments set paid_minor = 200").execute(&mut other).await.unwrap();
    sqlx::query("insert into debts select gen_random_uuid(), 3, upload_id, 9, 1, due_date, name, government_id, email from debts limit 1")
        .execute(&mut other)
        .await
        .unwrap();
    assert!(!migrated.is_finished(), "it waits for the one who writes");
    sqlx::query("delete from debts where client_id = 3").execute(&mut other).await.unwrap();
    writer.commit().await.unwrap();
    migrated.await.unwrap().unwrap();
    assert_all_begin_with_the_client(&stack).await;
}
