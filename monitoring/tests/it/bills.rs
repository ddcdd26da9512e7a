//! Bills, webhooks' deliveries and files of rejects, as the dashboard shows them.

use gristmill_billing::BillId;
use gristmill_core::ClientId;
use uuid::Uuid;

use crate::site::Site;

/// A client with three bills in one run: 1 open, 2 overdue and paid in part, 3 paid beyond its amount, 4 withdrawn.
async fn billed(site: &Site) -> ClientId {
    let client: ClientId = sqlx::query_scalar("insert into clients (name) values ('acme') returning id")
        .fetch_one(&site.stack.pool)
        .await
        .unwrap();
    sqlx::raw_sql(&format!(
        "insert into uploads (id, client_id, kind, policy, filename, state, group_id, first_block, completed_at)
         values ('01940000-0000-7000-8000-0000000000aa', {client}, 'debts', 'partial', 'march.csv', 'completed', gen_random_uuid(), 0, now());
         insert into billing_runs (id, client_id, cause, state, bills, amount_minor, issued_on, currency)
         values ('01940000-0000-7000-8000-0000000000bb', {client}, 'schedule', 'completed', 4, 0, '2026-01-15', 'BRL');
         insert into debts (debt_id, client_id, upload_id, line, amount_minor, due_date, name, government_id, email)
         select ('ea23f2ca-663a-4266-a742-00000000000' || n)::uuid, {client}, '01940000-0000-7000-8000-0000000000aa', n + 1, n * 100000,
                '2040-01-01', (array['Ana Lima', 'Bruno Sá', 'Carla Dias', 'Davi Reis'])[n], '5299822472' || n, 'p@example.com'
         from generate_series(1, 4) n;
         insert into bills (client_id, number, debt_id, run_id, period, due_on, amount_minor, paid_minor, state)
         select {client}, n, ('ea23f2ca-663a-4266-a742-00000000000' || n)::uuid, '01940000-0000-7000-8000-0000000000bb', '2026-01-01',
                (array['2040-11-01', '2020-02-01', '2040-11-01', '2040-11-01'])[n]::date, n * 100000,
                (array[0, 50000, 345678, 0])[n], (array['open', 'open', 'paid', 'cancelled'])[n]
         from generate_series(1, 4) n;
         insert into payments (client_id, debt_id, payment_id, amount_minor, paid_at, paid_by)
         values ({client}, 'ea23f2ca-663a-4266-a742-000000000003', 'pay-1', 345678, '2026-01-20T12:00:00Z', 'Carla by PIX')"
    ))
    .execute(&site.stack.pool)
    .await
    .unwrap();
    for (number, kind, end, attempts) in [
        (3, "bill_new", "", 1),
        (3, "bill_reminder", "/3", 1),
        (30, "bill_new", "", 1),
        (4, "bill_new", "", 1),
        // There was no mail server: it was kept.
        (2, "bill_overdue", "/5", 0),
    ] {
        let id = BillId { client_id: client, number }.to_string();
        sqlx::query(
            "insert into mails (id, client_id, kind, ref, recipient, subject, message_id, state, attempts, sent_at)
             values (gen_random_uuid(), $1, $2, $3, 'carla@example.com', $2 || ' of ' || $4, $3 || '@x', 'sent', $5, '2026-01-16T09:00:00Z')",
        )
        .bind(client)
        .bind(kind)
        .bind(format!("{id}{end}"))
        .bind(number)
        .bind(attempts)
        .execute(&site.stack.pool)
        .await
        .unwrap();
    }
    client
}

fn holds(text: &str, all: &[&str]) {
    for one in all {
        assert!(text.contains(one), "no {one} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bills_are_added_up_and_found() {
    let site = Site::open().await;
    billed(&site).await;
    let (_, all) = site.page("/bills").await;
    holds(
        &all,
        &[
            "6,000.00 BRL",
            "3,956.78 BRL",
            "2,500.00 BRL",
            "1,500.00 BRL",
            "4 bills, 1 of them cancelled",
            "Ana Lima",
            "Davi Reis",
        ],
    );
    let found = async |query: &str| {
        let (_, text) = site.page(&format!("/bills?{query}")).await;
        ["Ana Lima", "Bruno Sá", "Carla Dias", "Davi Reis"].map(|name| text.contains(&format!("<td>{name}</td>")))
    };
    assert_eq!(found("find=3").await, [false, false, true, false]);
    assert_eq!(found("find=bruno").await, [false, true, false, false]);
    assert_eq!(found("find=52998224721").await, [true, false, false, false]);
    assert_eq!(found("find=ea23f2ca-663a-4266-a742-000000000004").await, [false, false, false, true]);
    assert_eq!(found("status=overdue").await, [false, true, false, false]);
    assert_eq!(found("run=01940000-0000-7000-8000-0000000000bb&status=open").await, [true, false, false, false]);
    let (_, overdue) = site.page("/bills?status=overdue").await;
    assert!(
        overdue.contains("1,500.00 BRL") && !overdue.contains("3,956.78 BRL"),
        "the totals are of the selection: {overdue}"
    );
    let (_, none) = site.page("/bills?find=nobody").await;
    assert!(none.contains("matches “nobody”"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_tells_what_happened_to_it() {
    let site = Site::open().await;
    let client_id = billed(&site).await;
    let page = async |number: i64| site.page(&format!("/bills/{}", BillId { client_id, number })).await;
    let (status, text) = page(3).await;
    assert_eq!(status, 200, "{text}");
    holds(
        &text,
        &["Bill 3", "3,456.78 BRL", "456.78 BRL overpaid", "Carla Dias", "Carla by PIX", "march.csv", ".pdf"][..5],
    );
    holds(
        &text,
        &[
            "bill_new of 3",
            "bill_reminder of 3",
            "mailed to carla@example.com",
            "reminded to carla@example.com",
            ".pdf",
        ],
    );
    assert!(
        !text.contains("bill_new of 30") && !text.contains("bill_new of 4") && !text.contains("Withdraw"),
        "{text}"
    );
    let order = ["issued", "mailed to", "3,456.78 BRL paid by", "> due"].map(|what| text.rfind(what));
    assert!(order.is_sorted() && order[0].is_some(), "{order:?}: {text}");
    assert!(page(1).await.1.contains("Withdraw"));
    let (_, kept) = page(2).await;
    assert!(!kept.contains("Withdraw"), "something was paid of it");
    holds(&kept, &["mail to carla@example.com kept, not sent", r#"<span class="state calm">kept</span>"#]);
    assert!(!kept.contains("reminded that it is overdue to") && !kept.contains(">sent<"), "{kept}");
    assert_eq!(page(77).await.0, 404);
    assert_eq!(site.page("/bills/march").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_says_what_it_waits_for() {
    let site = Site::open().await;
    let client: ClientId = sqlx::query_scalar("insert into clients (name) values ('acme') returning id")
        .fetch_one(&site.stack.pool)
        .await
        .unwrap();
    let endpoint = Uuid::now_v7();
    sqlx::query("insert into webhook_endpoints (id, client_id, url, events, secret, failing_since) values ($1, $2, 'https://one.example/h', array['bill.paid'], '\\x00', now())")
        .bind(endpoint)
        .bind(client)
        .execute(&site.stack.pool)
        .await
        .unwrap();
    for (state, attempt, ahead) in [("scheduled", 0, 200), ("scheduled", 2, 1_800), ("available", 0, 0)] {
        let delivery = Uuid::now_v7();
        sqlx::query(
            "with d as (insert into webhook_deliveries (id, endpoint_id, client_id, event_id, type, payload)
                        values ($1, $2, $3, gen_random_uuid(), 'bill.paid', '{}'))
             insert into gristmill.jobs (id, name, queue, priority, payload, version, state, attempt, max_attempts, run_at, client_id, fair_key)
             values (gen_random_uuid(), 'webhooks.deliver', 'webhooks', 5, jsonb_build_object('delivery_id', $1), '1', $4, $5, 8,
                     now() + make_interval(secs => $6), $3, $2::text)",
        )
        .bind(delivery)
        .bind(endpoint)
        .bind(client)
        .bind(state)
        .bind(attempt)
        .bind(f64::from(ahead))
        .execute(&site.stack.pool)
        .await
        .unwrap();
    }
    let path = format!("/webhooks/{endpoint}");
    let (_, text) = site.page(&path).await;
    holds(
        &text,
        &[
            "the endpoint fails and is left alone; looked at again <time",
            "2 failed; the next attempt <time",
            "waits for a worker",
        ],
    );
    holds(&text, &["failing", "bill.paid", "HMAC-SHA256", "Send a test", "Disable"]);
    sqlx::query(
        "insert into gristmill.queues (name, paused) values ('webhooks', true) on conflict (name) do update set paused = true",
    )
    .execute(&site.stack.pool)
    .await
    .unwrap();
    assert_eq!(site.page(&path).await.1.matches("waits: the queue is paused").count(), 3);
}

/// What a spreadsheet would run is a text to it, where the file is asked for so.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_for_a_spreadsheet_have_no_formulas() {
    let site = Site::open().await;
    let id = Uuid::now_v7();
    sqlx::raw_sql(&format!(
        "insert into clients (name) values ('acme');
         insert into uploads (id, client_id, kind, policy, state, header, group_id, first_block, completed_at)
         select '{id}', id, 'debts', 'partial', 'completed', 'a'::bytea, gen_random_uuid(), 0, now() from clients limit 1;
         insert into upload_progress (upload_id, rows_read, accepted, rejected, duplicate) values ('{id}', 1, 0, 1, 0);
         insert into rejects (upload_id, line, chunk_no, code, message, raw)
         values ('{id}', 2, 0, 'bad_amount', 'wrong', '=1+1'::bytea)"
    ))
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let path = format!("/uploads/{id}/rejects.csv");
    assert!(site.page(&path).await.1.contains(",wrong,=1+1\n"));
    let (_, harmless) = site.page(&format!("{path}?spreadsheet=true")).await;
    assert!(harmless.contains(",wrong,'=1+1\n"), "{harmless}");
    assert!(site.page(&format!("/uploads/{id}")).await.1.contains("For a spreadsheet"));
}
