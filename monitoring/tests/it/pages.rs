//! What pages say when something is wrong, and of files that were not taken whole.

mod attention;
mod claims;
mod lists;
mod live;
mod queue;
mod uploads;

use gristmill_core::ClientId;
use uuid::Uuid;

use crate::site::Site;

/// An upload with these counts (accepted, rejected, duplicate) and so many rejects of each code.
async fn upload(site: &Site, state: &str, reason: Option<&str>, counts: [i64; 3], rejects: &[(&str, i64)]) -> Uuid {
    let id: Uuid = sqlx::query_scalar(
        "with owner as (insert into clients (name) values ('acme') on conflict (name) do update set name = 'acme' returning id)
         insert into uploads (id, client_id, kind, policy, filename, state, reason, group_id, first_block, completed_at)
         select gen_random_uuid(), id, 'debts', 'partial', 'rejected.csv', $1, $2, gen_random_uuid(), 0, now() from owner
         returning id",
    )
    .bind(state)
    .bind(reason)
    .fetch_one(&site.stack.pool)
    .await
    .unwrap();
    let [accepted, rejected, duplicate] = counts;
    sqlx::query(
        "insert into upload_progress (upload_id, rows_read, accepted, rejected, duplicate) values ($1, $2 + $3 + $4, $2, $3, $4)",
    )
    .bind(id)
    .bind(accepted)
    .bind(rejected)
    .bind(duplicate)
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let mut line = 2;
    for (code, n) in rejects {
        sqlx::query(
            "insert into rejects (upload_id, line, chunk_no, code, message, raw)
             select $1, $2 + n, 0, $3, 'wrong', 'the record'::bytea from generate_series(0, $4 - 1) n",
        )
        .bind(id)
        .bind(line)
        .bind(code)
        .bind(n)
        .execute(&site.stack.pool)
        .await
        .unwrap();
        line += n;
    }
    id
}

async fn client(site: &Site, name: &str) -> ClientId {
    let made = "insert into clients (name) values ($1) returning id";
    sqlx::query_scalar(made).bind(name).fetch_one(&site.stack.pool).await.unwrap()
}
