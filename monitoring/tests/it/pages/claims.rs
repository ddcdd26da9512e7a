//! Claims and what providers' claims add up to.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_sum_may_have_more_than_64_bits() {
    let site = Site::open().await;
    sqlx::raw_sql(
        "insert into clients (id, name) overriding system value values (77, 'dentists');
         insert into claims (id, client_id, subscriber, provider_npi, service_date, lines, net_fee_minor)
         values (gen_random_uuid(), 77, '1', '1497775530', '2024-02-03', 1, 999999999999);
         insert into provider_totals values (77, '1497775530', 9300000, 9300000, 9223372036854775808),
             (77, '1234567893', 9300000, 9300000, -9300000000000000000)",
    )
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let (status, text) = site.page("/claims?client=77").await;
    assert_eq!(status, 200, "{text}");
    for sum in ["92,233,720,368,547,758.08 USD", "−93,000,000,000,000,000.00 USD", "9,999,999,999.99 USD"] {
        assert!(text.contains(sum), "{sum}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_claim_whose_payment_is_dead_says_so() {
    let site = Site::open().await;
    let (claim, job) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    let sql = |sql: String| {
        let pool = site.stack.pool.clone();
        async move { sqlx::raw_sql(&sql).execute(&pool).await.map(drop).unwrap() }
    };
    sql(format!(
        "insert into clients (id, name) overriding system value values (77, 'dentists');
         insert into claims (id, client_id, subscriber, provider_npi, service_date, lines, net_fee_minor)
         values ('{claim}', 77, '1', '1497775530', '2024-02-03', 1, 900);
         insert into gristmill.jobs (id, name, queue, priority, payload, state, max_attempts, client_id, last_error, finished_at)
         values ('{job}', 'payments.process', 'payments', 5, '{{\"claim_id\": \"{claim}\"}}', 'dead', 5, 77,
                 'the account of GRP-1000 is frozen', now())"
    ))
    .await;
    let page = async || site.page(&format!("/claims/{claim}?client=77")).await;
    let (status, text) = page().await;
    assert_eq!(status, 200, "{text}");
    for said in ["failed for good", "the account of GRP-1000 is frozen", "payments-redrive", &format!("/jobs/{job}")] {
        assert!(text.contains(said), "{said}: {text}");
    }
    // It is tried again: nothing keeps it from being paid.
    sql(format!("update gristmill.jobs set state = 'available', finished_at = null where id = '{job}'")).await;
    assert!(!page().await.1.contains("It is not paid"));
    sql(format!("update gristmill.jobs set state = 'dead' where id = '{job}'; update claims set state = 'posted'"))
        .await;
    assert!(!page().await.1.contains("It is not paid"));
}
