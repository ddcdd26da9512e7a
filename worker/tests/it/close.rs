//! The join refuses what does not add up, and nothing changes the second time.

use gristmill_uploads::{State, UploadId};

use crate::harness::{Harness, file};

/// Tampers with the rows in the very transaction that counts them.
const TAMPER: &str = "
    create function tamper() returns trigger language plpgsql as $$
    begin
        execute format('delete from debts_%s where line = 7', (select id from row_segments where upload_id = new.upload_id and part = new.no / 16));
        return null;
    end $$;
    create trigger tamper after update of done_at on chunks for each row execute function tamper();";

/// Works until the join says what does not add up.
async fn why_not_closed(harness: &Harness, upload_id: UploadId) -> String {
    let stop = tokio_util::sync::CancellationToken::new();
    let worker = harness.start(2, &stop);
    let detail = loop {
        if let Some(detail) = harness.find(upload_id).await.detail {
            break detail;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    stop.cancel();
    worker.await.unwrap().unwrap();
    detail
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_rows_were_tampered_with_is_not_closed() {
    let metrics = gristmill_platform::telemetry::metrics();
    let harness = Harness::new(1_000).await;
    sqlx::raw_sql(TAMPER).execute(&harness.stack.pool).await.unwrap();
    let upload = harness.accept(file(0..100)).await;
    let detail = why_not_closed(&harness, upload.id).await;
    assert!(detail.contains("rows in the table 99 ≠ accepted 100"), "{detail}");
    let upload = harness.find(upload.id).await;
    assert_eq!((upload.state, upload.completed_at), (State::Processing, None));
    assert!(metrics.render().contains(r#"gristmill_invariant_violations_total{invariant="conservation"}"#));
}

/// As if a worker of a version that did not count them had indexed its segments.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_not_counted_when_they_were_indexed_are_counted_by_the_close() {
    let harness = Harness::new(1_000).await;
    let forget =
        "create function forget() returns trigger language plpgsql as $$ begin new.rows := null; return new; end $$;
                  create trigger forget before update on row_segments for each row execute function forget();";
    sqlx::raw_sql(forget).execute(&harness.stack.pool).await.unwrap();
    let upload = harness.run_file(file(0..100)).await;
    assert_eq!((upload.state, upload.rows.accepted), (State::Completed, 100), "{upload:?}");
}

/// As if a splitter, or who reads what it has cut, had passed over a line.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_line_in_no_count_is_not_closed() {
    let harness = Harness::new(1_000).await;
    let upload = harness.accept(file(0..100)).await;
    sqlx::query("update uploads set lines = lines + 1").execute(&harness.stack.pool).await.unwrap();
    let detail = why_not_closed(&harness, upload.id).await;
    assert!(detail.contains("lines of header and chunks 101 ≠ lines of the file 102"), "{detail}");
    assert_eq!(harness.find(upload.id).await.state, State::Processing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stray_quote_costs_its_line_and_every_line_is_in_a_count() {
    let harness = Harness::new(10_000).await;
    let whole = file(0..40_000);
    let mut lines: Vec<&str> = whole.lines().collect();
    let stray = format!("\"{}", lines[101]);
    lines[101] = &stray;
    let blank = "\n\n,,,,,\n \n";
    let upload = harness.run_file(lines.join("\n") + blank).await;
    assert_eq!(upload.state, State::Completed, "{upload:?}");
    assert_eq!((upload.rows.read, upload.rows.accepted, upload.rows.rejected), (40_000, 39_999, 1));
    let rejects = harness.rejects(upload.id).await;
    assert_eq!((rejects[0].line, rejects[0].code.as_str()), (102, "bad_quoting"));
    assert_eq!(rejects[0].message.as_deref(), Some("the quote opened on line 102 is not closed"));
    let receipt = gristmill_uploads::read::receipt(&harness.stack.pool, upload.id).await.unwrap().unwrap();
    let sum = |of: fn(&gristmill_uploads::read::ChunkReceipt) -> Option<i64>| {
        receipt.chunks.iter().map(of).sum::<Option<i64>>()
    };
    assert_eq!(
        (receipt.lines, sum(|chunk| chunk.lines), sum(|chunk| chunk.blank)),
        (Some(40_004), Some(40_003), Some(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_delivered_again_change_nothing() {
    let harness = Harness::new(1_000).await;
    let upload = harness.accept(file((0..100).chain(0..10))).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let workers: Vec<_> = (0..2).map(|_| harness.start(4, &stop)).collect();
    // A broker that forgets everything, again and again: whatever is not done is delivered again.
    let mut redis = harness.stack.redis_connection().await;
    while !harness.find(upload.id).await.state.is_final() {
        let keys: Vec<String> =
            redis::cmd("KEYS").arg(format!("*{}*", harness.stack.namespace)).query_async(&mut redis).await.unwrap();
        if !keys.is_empty() {
            redis::cmd("DEL").arg(keys).exec_async(&mut redis).await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    let upload = harness.find(upload.id).await;
    assert_eq!((upload.state, upload.rows.accepted, upload.rows.duplicate), (State::Completed, 100, 10));
    assert_eq!(harness.count("select count(*) from debts").await, 100);
    assert_eq!(
        harness.count("select count(*) from gristmill.jobs where name = 'uploads.close'").await,
        1,
        "the join fires once"
    );
}
