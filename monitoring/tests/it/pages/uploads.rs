//! Files that were not taken whole.

use super::upload;
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn every_reject_is_in_the_count_of_its_reason() {
    let site = Site::open().await;
    let rejects = [("bad_email", 21_000), ("duplicate", 9_000), ("bad_date", 4_321)];
    let id = upload(&site, "completed", None, [7, 25_321, 9_000], &rejects).await;
    let cells = |code: &str, n: &str| format!(r#"<td><code>{code}</code></td><td class="number">{n}</td>"#);
    let counted = |text: &str| {
        [("bad_email", "21,000"), ("duplicate", "9,000"), ("bad_date", "4,321")]
            .iter()
            .all(|(code, n)| text.contains(&cells(code, n)))
    };
    let (_, text) = site.page(&format!("/uploads/{id}")).await;
    assert!(counted(&text), "of an upload whose chunks did not count: {text}");
    // While it runs only what chunks have counted is looked at.
    sqlx::query(
        "insert into chunk_reasons values ($1, 0, 'bad_email', 20000, 2), ($1, 1, 'bad_email', 1000, 20002), ($1, 1, 'bad_date', 4321, 30002)",
    )
    .bind(id)
    .execute(&site.stack.pool)
    .await
    .unwrap();
    sqlx::query("update uploads set state = 'processing', completed_at = null where id = $1")
        .bind(id)
        .execute(&site.stack.pool)
        .await
        .unwrap();
    let (_, text) = site.page(&format!("/uploads/{id}")).await;
    assert!(counted(&text) && text.contains("the record"), "{text}");
    // Each fault of the example has a line.
    sqlx::query(
        r#"update rejects set message = 'email is "x"', other_faults = jsonb_build_array(
               jsonb_build_object('column', 'debtAmount', 'code', 'bad_amount', 'message', 'debtAmount is "<b>"'),
               jsonb_build_object('column', null, 'code', 'bad_date', 'message', 'debtDueDate is "y"'))
           where upload_id = $1 and line = 2"#,
    )
    .bind(id)
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let (_, text) = site.page(&format!("/uploads/{id}")).await;
    let shown: Vec<&str> = text.split(r#"<div class="wrong">"#).skip(1).collect();
    let shown: Vec<&str> = shown.iter().filter_map(|rest| rest.split("</div>").next()).collect();
    let faults = ["email is &#34;x&#34;", "debtAmount is &#34;&#60;b&#62;&#34;", "debtDueDate is &#34;y&#34;", "wrong"];
    assert_eq!(shown, faults, "those of a bad_email and those of a bad_date");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_undone_tells_no_reasons_that_do_not_add_up() {
    let site = Site::open().await;
    let rejects = [("bad_email", 3), ("duplicate", 4)];
    let undone = upload(&site, "cancelled", Some("undone"), [7, 3, 4], &rejects).await;
    let atomic = upload(&site, "failed", Some("rejected_rows"), [7, 3, 4], &rejects).await;
    for removed in [false, true] {
        let (_, text) = site.page(&format!("/uploads/{undone}")).await;
        assert!(!text.contains("Reject reasons") && !text.contains("rejects.csv"), "{text}");
        assert!(text.contains(">3</p><p class=\"quiet\">which ones went with its rows"), "removed: {removed}: {text}");
        // As purging does.
        sqlx::query("delete from rejects where upload_id = $1").bind(undone).execute(&site.stack.pool).await.unwrap();
    }
    let (_, text) = site.page(&format!("/uploads/{atomic}")).await;
    assert!(text.contains("Reject reasons") && text.contains("bad_email") && !text.contains("went with"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_that_say_something_else_are_counted_apart() {
    let site = Site::open().await;
    let id = upload(&site, "completed", None, [7, 0, 1_230], &[("duplicate", 1_230)]).await;
    let (_, text) = site.page(&format!("/uploads/{id}")).await;
    assert!(!text.contains("conflicting"), "{text}");
    for statement in [
        "update upload_progress set conflicting = 1029",
        "update rejects set differs = '{debtAmount}', raw = 'another amount' where line > 202",
    ] {
        sqlx::query(statement).execute(&site.stack.pool).await.unwrap();
    }
    let (_, text) = site.page(&format!("/uploads/{id}")).await;
    for (code, n, line, example) in
        [("duplicate", "201", "2", "the record"), ("conflicting_duplicate", "1,029", "203", "another amount")]
    {
        let cells = format!(
            r#"<td><code>{code}</code></td><td class="number">{n}</td><td class="number">{line}</td><td><div class="raw">{example}</div>"#
        );
        assert!(text.contains(&cells), "{cells}: {text}");
    }
    assert!(text.contains("1,029 say something else than the row that counts"), "{text}");
    assert!(text.contains("1,230 duplicate, 1,029 of them conflicting;"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_kept_is_not_accepted() {
    let site = Site::open().await;
    for (state, reason) in [("failed", "rejected_rows"), ("cancelled", "cancelled"), ("cancelled", "undone")] {
        let id = upload(&site, state, Some(reason), [4_881, 1, 0], &[]).await;
        let (_, list) = site.page("/uploads").await;
        assert!(!list.contains("4,881"), "{state}: {list}");
        let (_, one) = site.page(&format!("/uploads/{id}")).await;
        assert!(one.contains(r#"<h2>Accepted</h2><p class="figure">0</p>"#), "{state}: {one}");
        assert!(one.contains("4,881 valid rows, none of them kept"), "{state}: {one}");
        assert!(!one.contains(r#"class="under-way""#) && !one.contains("so far"), "it has ended: {one}");
    }
    upload(&site, "completed", None, [4_881, 1, 0], &[]).await;
    assert!(site.page("/uploads").await.1.contains("4,881"));
}
