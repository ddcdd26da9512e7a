//! A database of the time when rows were in one table each: carried over into segments, and not while files are under way.

use std::path::PathBuf;

use gristmill_platform::{
    database,
    testing::{Stack, empty_stack},
};
use sqlx::migrate::Migrator;

/// The migration that makes segments.
const SEGMENTS: i64 = 20_261_130_140_000;

const ROWS: &str = "
    insert into clients (id, name) overriding system value values (1, 'one');
    insert into uploads (id, client_id, kind, policy, state, group_id, first_block)
        select ('01940000-0000-7000-8000-00000000000' || n)::uuid, 1, 'debts', 'partial', case n when 1 then 'completed' else 'processing' end,
               gen_random_uuid(), 0 from generate_series(1, 2) n;
    insert into upload_progress (upload_id, accepted) select id, 3 from uploads;
    insert into debts select gen_random_uuid(), 1, '01940000-0000-7000-8000-000000000001', n, 100, '2030-01-01', 'Ana', '9558', 'ana@example.com'
        from generate_series(2, 4) n;";

async fn yesterday() -> Stack {
    let stack = empty_stack().await;
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
    let mut before = Migrator::new(folder).await.unwrap();
    before.migrations.to_mut().retain(|migration| migration.version < SEGMENTS);
    before.run(&stack.pool).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&stack.pool).await.unwrap();
    stack
}

async fn count(stack: &Stack, sql: &str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&stack.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_become_a_segment_when_no_file_is_under_way() {
    let stack = yesterday().await;
    let refused = database::migrate(&stack.pool).await.unwrap_err();
    let told = format!("{refused:?}");
    assert!(told.contains("1 uploads and 0 billing runs are under way: let them end, or cancel them"), "{told}");
    assert_eq!(count(&stack, "select count(*) from debts").await, 3, "nothing has changed");

    sqlx::query("update uploads set state = 'cancelled' where state = 'processing'")
        .execute(&stack.pool)
        .await
        .unwrap();
    database::migrate(&stack.pool).await.unwrap();
    database::ready(&stack.pool).await.unwrap();
    assert_eq!(
        count(
            &stack,
            "select count(*) from debts where segment = 1 and upload_id = '01940000-0000-7000-8000-000000000001'"
        )
        .await,
        3
    );
    let of_debts = "select count(*) from row_segments where table_name = 'debts' and state = ";
    assert_eq!(count(&stack, &format!("{of_debts}'full'")).await, 1, "to be sealed");
    assert_eq!(count(&stack, &format!("{of_debts}'open'")).await, 1);
    // A row that somebody inserts by hand goes to the first one.
    sqlx::query("insert into debts (debt_id, client_id, upload_id, line, amount_minor, due_date, name, government_id, email)
                 select gen_random_uuid(), client_id, upload_id, 9, 1, due_date, name, government_id, email from debts limit 1")
        .execute(&stack.pool)
        .await
        .unwrap();
    assert_eq!(count(&stack, "select count(*) from debts_1").await, 4);
}
