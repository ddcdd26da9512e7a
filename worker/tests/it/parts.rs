//! Chunks that took their workers down: searched part by part, and counted as if nothing had happened.

use gristmill_queue::{Claim, Completion, JobId};
use gristmill_uploads::{Policy, State, Upload, jobs::LoadPart, read};

use crate::harness::{DRAIN, HEADER, Harness, accepted, row};

/// Receives a file of one chunk and makes its job that of a part, as if it had taken its workers down; so does each part
/// with this byte of the chunk in it.
async fn suspect(harness: &Harness, policy: Policy, file: &str, deadly_byte: usize) -> Upload {
    sqlx::raw_sql(&format!(
        "create function die() returns trigger language plpgsql as $$ begin
             if new.first_byte <= {deadly_byte} and coalesce(new.end_byte, {}) > {deadly_byte} then
                 new.tries = 2; new.attempt = 1;
             end if;
             return new;
         end $$;
         create trigger die before insert or update of end_byte on chunk_parts for each row execute function die()",
        i64::MAX
    ))
    .execute(&harness.stack.pool)
    .await
    .unwrap();
    let upload = accepted(harness.receive(harness.new_upload(policy), file).await);
    assert_eq!(upload.chunks.total, 1);
    let id: JobId = sqlx::query_scalar("select id from gristmill.jobs where name = 'uploads.load_chunk'")
        .fetch_one(&harness.stack.pool)
        .await
        .unwrap();
    let part = LoadPart { upload_id: upload.id, no: 0, first_byte: 0 };
    let mut tx = harness.stack.pool.begin().await.unwrap();
    sqlx::query("insert into chunk_parts (upload_id, no, first_byte, first_line) values ($1, 0, 0, 2)")
        .bind(upload.id)
        .execute(&mut *tx)
        .await
        .unwrap();
    let replaced = harness.env.queue.replace(&mut tx, &Claim::new(id, 1), &[part]).await.unwrap();
    assert!(matches!(replaced, Completion::Done(_)));
    tx.commit().await.unwrap();
    upload
}

/// One part at a time, in the order in which they were made.
async fn drain_in_order(harness: &Harness) {
    harness.env.queue.drain(&harness.worker(1), DRAIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadly_record_is_found_and_the_chunk_adds_up() {
    let harness = Harness::new(1 << 20).await;
    let mut records: Vec<String> = (0..300).map(row).collect();
    // Lines and records are not the same here, and line ends differ.
    records[7] = records[7].replace("Ana Lima", "\"Ana\nde \"\"Lima\"\"\r\n\"");
    records[60] = format!("\r\n\n{}", records[60].replace('\n', "\r\n"));
    records[61] = records[61].replace("100.50", "none");
    // The deadly one is in the first half; the second half is loaded before what is beside it.
    let deadly = 70;
    records[10] = row(290);
    records[71] = row(280);
    let file = HEADER.to_owned() + &records.concat();
    let before: usize = records[..deadly].iter().map(String::len).sum();
    let upload = suspect(&harness, Policy::Partial, &file, before + 20).await;
    drain_in_order(&harness).await;

    let upload = harness.find(upload.id).await;
    assert_eq!((upload.state, upload.chunks.total, upload.chunks.done), (State::Completed, 1, 1), "{upload:?}");
    assert_eq!((upload.rows.read, upload.rows.accepted), (300, 296));
    assert_eq!((upload.rows.rejected, upload.rows.duplicate), (2, 2));
    let rejects = harness.rejects(upload.id).await;
    let seen: Vec<_> = rejects.iter().map(|reject| (reject.line, reject.code.as_str(), reject.first_line)).collect();
    // The header is a line, record 7 has three, and two empty ones come before record 60.
    let line = |record: i64| record + 2 + 2 * i64::from(record > 7) + 2 * i64::from(record >= 60);
    assert_eq!(
        seen,
        [
            (line(61), "bad_amount", None),
            (line(70), "poison", None),
            (line(280), "duplicate", Some(line(71))),
            (line(290), "duplicate", Some(line(10))),
        ]
    );
    assert_eq!(rejects[1].raw, records[deadly].trim_end().as_bytes());
    let receipt = read::receipt(&harness.stack.pool, upload.id).await.unwrap().unwrap();
    assert_eq!((receipt.chunks.len(), receipt.chunks[0].rows), (1, upload.rows));
    assert_eq!(receipt.bytes, receipt.header_bytes + receipt.chunks[0].bytes);
    let parts = harness
        .count("select count(*) from gristmill.jobs where name = 'uploads.load_part' and state = 'completed'")
        .await;
    assert!((10..=1 + 2 * 9).contains(&parts), "{parts} parts");
    assert_eq!(harness.count("select count(*) from chunk_parts").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_long_counts_once_beside_a_deadly_one() {
    let harness = Harness::new(1 << 20).await;
    let file = format!("{HEADER}{}{}\n", row(1), "x".repeat(70_000));
    let upload = suspect(&harness, Policy::Partial, &file, 0).await;
    harness.drain().await;
    let upload = harness.find(upload.id).await;
    assert_eq!((upload.state, upload.rows.read, upload.rows.rejected), (State::Completed, 2, 2), "{upload:?}");
    let codes: Vec<_> = harness.rejects(upload.id).await.into_iter().map(|reject| (reject.line, reject.code)).collect();
    assert_eq!(codes, [(2, "poison".to_owned()), (3, "record_too_long".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_file_with_a_deadly_record_keeps_nothing_but_its_rejects() {
    let harness = Harness::new(1 << 20).await;
    let file = crate::harness::file(0..20);
    let upload = suspect(&harness, Policy::Atomic, &file, 0).await;
    harness.drain().await;
    let upload = harness.find(upload.id).await;
    assert_eq!((upload.state, upload.reason.as_deref()), (State::Failed, Some("rejected_rows")));
    assert_eq!(harness.count("select count(*) from debts").await, 0);
    assert_eq!(harness.rejects(upload.id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_cancelled_upload_go_with_it() {
    let harness = Harness::new(1 << 20).await;
    let upload = suspect(&harness, Policy::Partial, &crate::harness::file(0..20), 0).await;
    harness.uploads.remove(harness.client_id, upload.id).await.unwrap();
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from debts").await, 0);
    assert_eq!(harness.count("select count(*) from chunk_parts").await, 0);
}
