//! Clients that do not wait for the answer.

use std::{fs, time::Duration};

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Api, api};

/// The process of Postgres in which a statement waits for a lock on `table`.
async fn waiting_for(api: &Api, table: &str) -> i32 {
    let sql = "select l.pid from pg_locks l join pg_database d on d.oid = l.database
               where d.datname = current_database() and l.relation = $1::text::regclass and not l.granted";
    for _ in 0..1_200 {
        if let Some(pid) = sqlx::query_scalar(sql).bind(table).fetch_optional(&api.stack.pool).await.unwrap() {
            return pid;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing waits for {table}");
}

/// What Postgres wrote down of one of its processes when it ended a statement there.
async fn ended(api: &Api, pid: i32) -> String {
    let log = api.stack.dir.parent().expect("among the engines' data").join("postgres.log");
    for _ in 0..1_200 {
        let text = fs::read(&log).expect("the server's log");
        let text = String::from_utf8_lossy(&text);
        let said = format!("[{pid}] ");
        let mut lines = text.lines().filter(|line| line.contains(&said));
        if let Some(line) = lines.find(|line| line.contains("FATAL:") || line.contains("ERROR:")) {
            return line.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("process {pid} goes on");
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_statement() {
    let api = api().await;
    let mut holder = api.stack.pool.begin().await.unwrap();
    sqlx::raw_sql("lock table mails, ledger_accounts in access exclusive mode").execute(&mut *holder).await.unwrap();
    let account = json!({ "frozen": true });
    let reads = api.get("/v1/mail");
    let writes = api.bare("PUT", "/v1/plan-accounts/plan").bearer_auth(&api.key).json(&account);
    for (request, table) in [(reads, "mails"), (writes, "ledger_accounts")] {
        let asking = tokio::spawn(request.send());
        let pid = waiting_for(&api, table).await;
        asking.abort();
        let line = ended(&api, pid).await;
        assert!(line.contains("connection to client lost"), "{table}: {line}");
    }
    holder.rollback().await.unwrap();
    assert_eq!(api.get("/v1/mail").send().await.unwrap().status(), StatusCode::OK);
}
