//! A duplicate that says something else than the row that counts is told apart from one that says the same.

use gristmill_normalization::rules;
use gristmill_pipelines::{Kind, merchants::Test};
use gristmill_uploads::{NewUpload, Policy, Rows, State, Upload, UploadId, read};
use tokio_util::sync::CancellationToken;

use crate::{
    duplicates::{half, run_file_backwards},
    harness::{HEADER, Harness, accepted, file},
};

/// A debt of this key; `row` of the harness has 100.50.
fn debt(key: u64, amount: &str) -> String {
    format!("Ana Lima,1234,ana@example.com,{amount},2024-01-19,00000000-0000-4000-8000-{key:012x}\n")
}

/// The rejected lines of an upload: each with the line that counts and the columns in which that one differs.
async fn told(harness: &Harness, id: UploadId) -> Vec<(i64, i64, Vec<String>)> {
    let rejects = harness.rejects(id).await.into_iter();
    rejects.map(|reject| (reject.line, reject.first_line.unwrap(), reject.differs.unwrap_or(Vec::new()))).collect()
}

fn expected(lines: &[(i64, i64, &[&str])]) -> Vec<(i64, i64, Vec<String>)> {
    lines
        .iter()
        .map(|(line, first, differs)| (*line, *first, differs.iter().map(|column| (*column).to_owned()).collect()))
        .collect()
}

/// The counts of the receipt, which are those of its chunks together.
async fn receipt(harness: &Harness, id: UploadId) -> Rows {
    let receipt = read::receipt(&harness.stack.pool, id).await.unwrap().unwrap();
    let sum = |count: fn(&Rows) -> i64| receipt.chunks.iter().map(|chunk| count(&chunk.rows)).sum::<i64>();
    assert_eq!(receipt.rows.duplicate, sum(|rows| rows.duplicate));
    assert_eq!(receipt.rows.conflicting_duplicate, sum(|rows| rows.conflicting_duplicate));
    receipt.rows
}

async fn send(harness: &Harness, kind: Kind, file: &str) -> Upload {
    let upload = accepted(harness.receive(NewUpload { kind, ..harness.new_upload(Policy::Partial) }, file).await);
    harness.drain().await;
    harness.find(upload.id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_compared_with_the_first_one_of_its_key_wherever_chunks_are_cut() {
    const EVERYTHING: &[&str] = &["name", "governmentId", "email", "debtAmount", "debtDueDate"];
    let key = "00000000-0000-4000-8000-000000000001";
    let text = [
        HEADER,
        &debt(1, "100.50"),
        &debt(1, "100.50"),
        &format!("\" Ana Lima\",\t1234 ,ana@example.com,100.5,2024-01-19, {key}\n"),
        &debt(1, "200"),
        &format!("Eva,77,eva@example.com,1,2025-01-19,{key}\n"),
        &debt(2, "1"),
        &debt(2, "1").replace("2024-01-19", "2024-01-20"),
    ]
    .concat();
    for (chunk_bytes, backwards) in [(1 << 20, false), (100, false), (100, true), (250, true)] {
        let harness = Harness::new(chunk_bytes).await;
        let upload = harness.accept(&text).await;
        let upload = if backwards {
            run_file_backwards(&harness, upload.id).await
        } else {
            harness.drain().await;
            harness.find(upload.id).await
        };
        let rows =
            Rows { read: 7, accepted: 2, rejected: 0, duplicate: 5, conflicting_duplicate: 3, ..Rows::default() };
        assert_eq!((upload.state, upload.rows), (State::Completed, rows), "chunks of {chunk_bytes}");
        assert_eq!(receipt(&harness, upload.id).await, rows);
        let lines = expected(&[
            (3, 2, &[]),
            (4, 2, &[]),
            (5, 2, &["debtAmount"]),
            (6, 2, EVERYTHING),
            (8, 7, &["debtDueDate"]),
        ]);
        assert_eq!(told(&harness, upload.id).await, lines, "chunks of {chunk_bytes}, backwards: {backwards}");
        let messages: Vec<String> = harness.rejects(upload.id).await.iter().map(read::RejectRow::message).collect();
        assert_eq!(messages[0], "the same debtId is on line 2 of this file");
        assert_eq!(
            messages[4],
            "the same debtId is on line 7 of this file; the row there counts, and differs in debtDueDate"
        );
        assert_eq!(
            harness.count("select sum(amount_minor)::bigint from debts").await,
            10_150,
            "who won is not changed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_compared_with_the_row_of_another_file() {
    let harness = Harness::new(1 << 20).await;
    let first = [HEADER, &debt(1, "1"), &debt(2, "2"), &debt(3, "3"), &debt(4, "4")].concat();
    let first = harness.run_file(&first).await;
    // Other columns, and lines that lose to each other before they lose to the other file.
    let line = |key: u64, amount: &str| {
        format!(
            r#"{{"debtId":"00000000-0000-4000-8000-{key:012x}","debtAmount":{amount},"name":"Ana Lima","governmentId":1234,"email":"ana@example.com","debtDueDate":"2024-01-19"}}"#
        )
    };
    let second = [
        line(1, "1.0"),
        line(2, "7"),
        line(3, "3"),
        line(3, "7"),
        line(4, "7"),
        line(4, "4"),
        line(4, "7"),
        line(5, "5"),
        line(5, "7"),
    ]
    .join("\n");
    let second = harness.run_file(&second).await;
    let rows = Rows { read: 9, accepted: 1, rejected: 0, duplicate: 8, conflicting_duplicate: 5, ..Rows::default() };
    assert_eq!((second.state, second.rows), (State::Completed, rows));
    assert_eq!(receipt(&harness, second.id).await, rows);
    let amount: &[&str] = &["debtAmount"];
    assert_eq!(
        told(&harness, second.id).await,
        expected(&[
            (1, 2, &[]),
            (2, 3, amount),
            (3, 4, &[]),
            (4, 4, amount),
            (5, 5, amount),
            (6, 5, &[]),
            (7, 5, amount),
            (9, 8, amount),
        ])
    );
    let rejects = harness.rejects(second.id).await;
    assert!(rejects[..7].iter().all(|reject| reject.first_upload_id == Some(first.id)));
    let there = format!("on line 3 of upload {}; the row there counts, and differs in debtAmount", first.id);
    assert!(rejects[1].message().ends_with(&there), "{}", rejects[1].message());
    assert_eq!(harness.count("select sum(amount_minor)::bigint from debts").await, 1_500, "who won is not changed");
}

/// A chunk has compared its lines with each other; the close finds that another file has their key.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_compared_with_the_row_that_counts_in_the_end() {
    for own in [true, false] {
        let harness = if own { Harness::new(1 << 20).await } else { Harness::sharing(1 << 20).await };
        let first = [HEADER, &debt(1, "1"), &debt(4, "4")].concat();
        let first = harness.run_file(&first).await;
        let fresh: String = (1_000..1_100).map(|key| debt(key, "9")).collect();
        let second = [HEADER, &fresh, &debt(4, "7"), &debt(4, "4"), &debt(4, "7"), &debt(1_000, "9")].concat();
        let second = harness.run_file(&second).await;
        let rows =
            Rows { read: 104, accepted: 100, rejected: 0, duplicate: 4, conflicting_duplicate: 2, ..Rows::default() };
        assert_eq!((second.state, second.rows), (State::Completed, rows), "own: {own}");
        assert_eq!(receipt(&harness, second.id).await, rows);
        let amount: &[&str] = &["debtAmount"];
        assert_eq!(
            told(&harness, second.id).await,
            expected(&[(102, 3, amount), (103, 3, &[]), (104, 3, amount), (105, 2, &[])])
        );
        let rejects = harness.rejects(second.id).await;
        let firsts: Vec<_> = rejects.iter().map(|reject| reject.first_upload_id).collect();
        assert_eq!(firsts, [Some(first.id), Some(first.id), Some(first.id), Some(second.id)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_known_is_compared_line_by_line() {
    let harness = Harness::new(1_000).await;
    harness.run_file(file(0..300)).await;
    let changed = |key: u64| key.is_multiple_of(10);
    let lines: String = (0..300).map(|key| debt(key, if changed(key) { "7" } else { "100.50" })).collect();
    let again = harness.run_file(format!("{HEADER}{lines}")).await;
    let rows =
        Rows { read: 300, accepted: 0, rejected: 0, duplicate: 300, conflicting_duplicate: 30, ..Rows::default() };
    assert_eq!((again.state, again.rows), (State::Completed, rows));
    assert_eq!(receipt(&harness, again.id).await, rows);
    for (line, first, differs) in told(&harness, again.id).await {
        assert_eq!((first, !differs.is_empty()), (line, changed(line.unsigned_abs() - 2)), "line {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_compared_by_what_they_say_and_not_by_their_merchants() {
    let harness = Harness::new(1 << 20).await;
    let header = "date,description,amount,currency,id\n";
    send(&harness, Kind::Transactions, &format!("{header}2021-04-01,JOES 12,1,,a\n2021-04-01,KFC,-2,USD,b\n")).await;
    let mut conn = harness.stack.pool.acquire().await.unwrap();
    rules::create(&mut conn, harness.client_id, Test::Contains, "joes", "Joe's Diner").await.unwrap();
    drop(conn);
    let again = format!(
        "{header}2021-04-01,JOES 12,1.00,,a\n2021-04-01,JOES 12,1,USD,a\n2021-04-02,KFC,2,usd,b\n2021-04-01,KFC!,-2,,b\n"
    );
    let again = send(&harness, Kind::Transactions, &again).await;
    assert_eq!((again.rows.duplicate, again.rows.conflicting_duplicate), (4, 3));
    assert_eq!(
        told(&harness, again.id).await,
        expected(&[
            (2, 2, &[]),
            (3, 2, &["currency"]),
            (4, 3, &["date", "amount"]),
            (5, 3, &["description", "currency"])
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_compared_by_what_they_cost() {
    let harness = Harness::new(1 << 20).await;
    let first = "id,timestamp,text\n1,2024-04-29T02:08:29Z,What are the terms?\n";
    send(&harness, Kind::Messages, first).await;
    let again = "id,timestamp,text,report_id\n1,2024-04-29T04:08:29+02:00,What are the terms?,\n\
        1,2024-04-29T02:08:30Z,What are the terms?,\n1,2024-04-29T02:08:29Z,What are the terms?,5392\n\
        1,2024-04-29T02:08:29Z,\"What, after all, are the terms of this agreement of ours?\",\n";
    let again = send(&harness, Kind::Messages, again).await;
    assert_eq!((again.rows.duplicate, again.rows.conflicting_duplicate), (4, 3));
    assert_eq!(
        told(&harness, again.id).await,
        expected(&[(2, 2, &[]), (3, 2, &["timestamp"]), (4, 2, &["report_id"]), (5, 2, &["text"])])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_file_that_waits_are_compared_with_the_one_that_is_completed_first() {
    let harness = Harness::new(400).await;
    // Every key twice, with another amount; the first half is held back until the other file is completed.
    let lines = |amount: &str| (0..60).map(|key| debt(key, amount)).collect::<String>();
    let one = harness.accept(format!("{HEADER}{}{}", lines("200"), lines("100"))).await;
    let held = sqlx::query(
        "update gristmill.jobs j set state = 'scheduled', run_at = now() + interval '1 hour' from chunks c
         where j.name = 'uploads.load_chunk' and c.upload_id = $1 and c.no = (j.payload->>'no')::int and c.first_line < 62",
    )
    .bind(one.id)
    .execute(&harness.stack.pool)
    .await
    .unwrap()
    .rows_affected();
    let loaded = one.chunks.total - held.cast_signed();
    assert!(loaded > 10 && held > 10, "{one:?}");
    let stop = CancellationToken::new();
    let worker = harness.start(2, &stop);
    harness.until(one.id, |one| one.chunks.done == loaded).await;

    let other: String = (0..60).map(|key| debt(key, if key % 2 == 0 { "200" } else { "100" })).collect();
    let other = harness.accept(format!("{HEADER}{other}")).await;
    let other = harness.ended(other.id).await;
    sqlx::query("update gristmill.jobs set run_at = now() where state = 'scheduled' and name = 'uploads.load_chunk'")
        .execute(&harness.stack.pool)
        .await
        .unwrap();
    let one = harness.ended(one.id).await;
    stop.cancel();
    worker.await.unwrap().unwrap();

    assert_eq!((other.state, other.rows.accepted, other.rows.duplicate), (State::Completed, 60, 0));
    let rows =
        Rows { read: 120, accepted: 0, rejected: 0, duplicate: 120, conflicting_duplicate: 60, ..Rows::default() };
    assert_eq!((one.state, receipt(&harness, one.id).await), (State::Completed, rows));
    let rejects = told(&harness, one.id).await;
    assert_eq!(rejects.len(), 120);
    for (line, first, differs) in rejects {
        let key = (line - 2) % 60;
        let same = (line < 62) == (key % 2 == 0);
        assert_eq!((first, differs.is_empty()), (key + 2, same), "line {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_lost_to_a_file_that_broke_off_are_compared_with_those_that_took_its_place() {
    let harness = Harness::new(1_000).await;
    let stop = CancellationToken::new();
    let worker = harness.start(2, &stop);
    let (frames, first) = half(&harness).await;
    // The second half says what the broken file said, and not what the first half says.
    let lines = |amount: &str| (0..100).map(|key| debt(key, amount)).collect::<String>();
    let second = harness.accept(format!("{HEADER}{}{}", lines("200"), lines("100.50"))).await;
    harness.until(second.id, |second| second.chunks.done == second.chunks.total).await;
    frames.send(Err(std::io::Error::other("the line is cut"))).await.unwrap();
    first.await.unwrap().unwrap_err();
    let second = harness.ended(second.id).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    let rows =
        Rows { read: 200, accepted: 100, rejected: 0, duplicate: 100, conflicting_duplicate: 100, ..Rows::default() };
    assert_eq!((second.state, receipt(&harness, second.id).await), (State::Completed, rows));
    let rejects = told(&harness, second.id).await;
    assert!(rejects.iter().all(|(line, first, differs)| *first == line - 100 && differs == &["debtAmount"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_stays_when_the_file_of_the_row_is_undone_and_a_resend_tells_anew() {
    let harness = Harness::new(1 << 20).await;
    let first = harness.run_file(format!("{HEADER}{}", debt(1, "100"))).await;
    let text = format!("{HEADER}{}{}", debt(1, "200"), debt(1, "100"));
    let second = harness.run_file(&text).await;
    let before = told(&harness, second.id).await;
    assert_eq!(before, expected(&[(2, 2, &["debtAmount"]), (3, 2, &[])]));
    harness.uploads.remove(harness.client_id, first.id).await.unwrap();
    harness.drain().await;
    assert_eq!(told(&harness, second.id).await, before);
    let again = harness.run_file(&text).await;
    let rows = Rows { read: 2, accepted: 1, rejected: 0, duplicate: 1, conflicting_duplicate: 1, ..Rows::default() };
    assert_eq!((again.state, again.rows), (State::Completed, rows));
    assert_eq!(told(&harness, again.id).await, expected(&[(3, 2, &["debtAmount"])]));
}
