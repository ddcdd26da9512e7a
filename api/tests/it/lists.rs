use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Api, HEADER, api, file, problem};

async fn pages(api: &Api, path: &str, limit: usize) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.json(&format!("{path}limit={limit}{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        all.extend(items.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn uploads_come_newest_first_page_by_page() {
    let api = api().await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.insert(0, api.upload(file(n + 1)).await["id"].clone());
    }
    let ids = |items: Vec<Value>| items.into_iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
    for limit in [1, 2, 5, 200] {
        assert_eq!(ids(pages(&api, "/v1/uploads?", limit).await), sent);
    }
    api.pretend(sent[1].as_str().unwrap(), "completed").await;
    assert_eq!(ids(pages(&api, "/v1/uploads?state=completed&kind=debts&", 2).await), sent[1..2]);
}

#[tokio::test]
async fn wrong_questions_are_answered_with_what_would_be_right() {
    let api = api().await;
    for query in ["limit=201", "limit=0", "limit=x", "state=done", "kind=rumours", "cursor=abc", "sort=name"] {
        let response = api.get(&format!("/v1/uploads?{query}")).send().await.unwrap();
        let name = query.split('=').next().unwrap();
        assert_eq!(problem(response, StatusCode::BAD_REQUEST).await["errors"][0]["field"], name);
    }
    let response = api.get("/v1/uploads?state=done&limit=500&page=2").send().await.unwrap();
    insta::assert_json_snapshot!(problem(response, StatusCode::BAD_REQUEST).await);
    let response = api.get("/v1/uploads/not-an-id").send().await.unwrap();
    insta::assert_json_snapshot!("not_an_id", problem(response, StatusCode::NOT_FOUND).await);
}

async fn reject(api: &Api, id: Uuid, line: i64, code: &str, raw: &[u8]) {
    sqlx::query(
        "insert into rejects (upload_id, line, chunk_no, column_name, code, message, raw, first_upload_id, first_line)
         values ($1, $2, 0, $3, $4, $5, $6, case when $4 = 'duplicate' then $1 end, case when $4 = 'duplicate' then 2 end)",
    )
    .bind(id)
    .bind(line)
    .bind((code != "duplicate").then_some("debtAmount"))
    .bind(code)
    .bind(format!("a message, with \"{code}\""))
    .bind(raw)
    .execute(&api.stack.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn rejects_as_pages_and_as_one_file() {
    let api = api().await;
    let id: Uuid = api.upload(HEADER).await["id"].as_str().unwrap().parse().unwrap();
    reject(&api, id, 3, "bad_amount", b"Ann,1,a@b.c,1x,2024-01-01,ea23f2ca-663a-4266-a742-9da4c9f4fcb3").await;
    reject(&api, id, 4, "bad_amount", b"\"Smith, \"\"Jo\"\"\",1,a@b.c,,2024-01-01,x").await;
    reject(&api, id, 5, "duplicate", b"Caf\xe9,1,a@b.c,1,2024-01-01,y").await;
    let path = format!("/v1/uploads/{id}/rejects");
    let all = pages(&api, &format!("{path}?"), 2).await;
    assert_eq!(all.iter().map(|item| item["line"].as_i64().unwrap()).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!((&all[2]["first"]["line"], &all[2]["differs"]), (&2.into(), &Value::Null));
    let mut shown = all[0].clone();
    shown["upload_id"] = Value::Null;
    insta::assert_json_snapshot!("one_reject", shown);

    let response = api.get(&path).header("accept", "text/csv").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(response.headers()["content-disposition"], format!("attachment; filename=\"rejects-{id}.csv\""));
    let text = response.bytes().await.unwrap();
    insta::assert_snapshot!("rejects_csv", String::from_utf8_lossy(&text));
    let mut reader = csv::Reader::from_reader(&text[..]);
    let rows: Vec<_> = reader.byte_records().collect::<Result<_, _>>().expect("every row is as wide as the header");
    assert_eq!(&rows[2][4], b"Caf\xe9", "bytes as they came");

    let other = json!([{ "column": "debtDueDate", "code": "bad_date", "message": "debtDueDate is \"never\"" }]);
    let noted = sqlx::query("update rejects set other_faults = $2 where upload_id = $1 and line = 4");
    noted.bind(id).bind(&other).execute(&api.stack.pool).await.unwrap();
    let all = pages(&api, &format!("{path}?"), 2).await;
    let first = json!({ "column": "debtAmount", "code": "bad_amount", "message": "a message, with \"bad_amount\"" });
    assert_eq!((&all[0]["faults"], &all[1]["faults"]), (&json!([first]), &json!([first, other[0]])));
    assert_eq!(all[1]["message"], "a message, with \"bad_amount\". Also: debtDueDate is \"never\"");
    assert_eq!((&all[1]["column"], &all[1]["reason"]), (&json!("debtAmount"), &json!("bad_amount")));
    assert_eq!(all[2]["faults"][0]["code"], "duplicate");
}

#[tokio::test]
async fn a_duplicate_says_in_which_columns_the_row_that_counts_differs() {
    let api = api().await;
    let id: Uuid = api.upload(HEADER).await["id"].as_str().unwrap().parse().unwrap();
    let differs = ["{debtAmount,debtDueDate}", "{}"];
    for (line, differs) in (3..).zip(differs) {
        reject(&api, id, line, "duplicate", b"Ann,1,a@b.c,1,2024-01-01,y").await;
        sqlx::query("update rejects set differs = $3::text::text[], message = null, column_name = 'debtId' where upload_id = $1 and line = $2")
            .bind(id).bind(line).bind(differs).execute(&api.stack.pool).await.unwrap();
    }
    let path = format!("/v1/uploads/{id}/rejects");
    let all = pages(&api, &format!("{path}?"), 2).await;
    let message =
        "the same debtId is on line 2 of this file; the row there counts, and differs in debtAmount, debtDueDate";
    assert_eq!((&all[0]["reason"], &all[0]["message"]), (&"duplicate".into(), &message.into()));
    assert_eq!(all[0]["differs"], serde_json::json!(["debtAmount", "debtDueDate"]));
    // One that is still to be compared with the row that has come to count.
    assert_eq!((&all[1]["differs"], &all[1]["message"]), (&Value::Null, &message[..41].into()));
    let response = api.get(&path).header("accept", "text/csv").send().await.unwrap();
    let text = response.text().await.unwrap();
    assert!(text.contains(&format!("3,debtId,duplicate,\"{message}\",Ann,1")), "{text}");
}

#[tokio::test]
async fn a_large_file_of_rejects_is_whole() {
    let api = api().await;
    let id: Uuid = api.upload(HEADER).await["id"].as_str().unwrap().parse().unwrap();
    sqlx::query("insert into rejects (upload_id, line, chunk_no, code, message, raw) select $1, n, 0, 'bad_date', 'm', 'a,b,c,d,e,f' from generate_series(2, 2501) n")
        .bind(id).execute(&api.stack.pool).await.unwrap();
    let response = api.get(&format!("/v1/uploads/{id}/rejects")).header("accept", "text/csv").send().await.unwrap();
    let text = response.text().await.unwrap();
    assert_eq!(text.lines().count(), 2_501);
}

/// Moves the rows of the last upload into a segment of its own.
const OWN_SEGMENT: &str = "
    do $$
    declare
        own_upload uuid := (select upload_id from debts order by upload_id desc limit 1);
        own_id int := own_segment('debts', own_upload, (select client_id from uploads where id = own_upload), 0);
    begin
        execute format('insert into debts_%s select debt_id, client_id, upload_id, line, amount_minor, due_date, name, government_id, email
                        from debts where upload_id = %L', own_id, own_upload);
        delete from debts where upload_id = own_upload;
        perform index_segment(own_id);
        perform attach_segment(own_id);
    end $$";

#[tokio::test]
async fn debts_count_when_their_upload_is_completed() {
    let api = api().await;
    let mut uploads = Vec::new();
    for n in 0..2_i64 {
        let id: Uuid = api.upload(file(n as usize + 1)).await["id"].as_str().unwrap().parse().unwrap();
        for row in 0..5_i64 {
            sqlx::query("insert into debts values ($1, $2, $3, $4, 781150, '2026-01-31', 'Ann', '1', 'a@b.c')")
                .bind(Uuid::from_u128(((row * 2 + n) as u128) << 64 | 1))
                .bind(api.client_id)
                .bind(id)
                .bind(row + 2)
                .execute(&api.stack.pool)
                .await
                .unwrap();
        }
        uploads.push(id);
    }
    assert_eq!(pages(&api, "/v1/debts?", 3).await.len(), 0);
    api.pretend(&uploads[0].to_string(), "completed").await;
    let found = pages(&api, "/v1/debts?", 3).await;
    assert_eq!(found.len(), 5);
    insta::assert_json_snapshot!(found[1], {".upload_id" => "[id]"});
    api.pretend(&uploads[1].to_string(), "completed").await;
    assert_eq!(pages(&api, "/v1/debts?", 4).await.len(), 10);
    sqlx::query("update upload_progress set accepted = 5").execute(&api.stack.pool).await.unwrap();
    let of_second = format!("/v1/debts?upload_id={}&", uploads[1]);
    for own in [false, true] {
        if own {
            sqlx::raw_sql(OWN_SEGMENT).execute(&api.stack.pool).await.unwrap();
        }
        for limit in [1, 2, 5, 200] {
            let found = pages(&api, &of_second, limit).await;
            let lines: Vec<_> = found.iter().map(|debt| debt["line"].as_i64().unwrap()).collect();
            assert_eq!(lines, [2, 3, 4, 5, 6]);
        }
    }
    assert_eq!(pages(&api, &format!("{of_second}debt_id={}&", found[0]["id"].as_str().unwrap()), 2).await.len(), 0);
    let one = found[0]["id"].as_str().unwrap();
    assert_eq!(pages(&api, &format!("/v1/debts?debt_id={one}&"), 2).await.len(), 1);
}
