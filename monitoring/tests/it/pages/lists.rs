//! Lists: whose they are of, and how they go on.

use super::client;
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_those_of_all_clients_and_the_failing_ones_are_found() {
    let site = Site::open().await;
    let (one, other) = (client(&site, "Zebra").await, client(&site, "acme").await);
    for (owner, url, failing) in [(one, "https://one.example/h", false), (other, "https://other.example/h", true)] {
        sqlx::query(
            "insert into webhook_endpoints (id, client_id, url, events, secret, failing_since)
             values (gen_random_uuid(), $1, $2, array['bill.paid'], '\\x00', case when $3 then now() end)",
        )
        .bind(owner)
        .bind(url)
        .bind(failing)
        .execute(&site.stack.pool)
        .await
        .unwrap();
    }
    let (_, all) = site.page("/webhooks").await;
    assert!(all.contains("one.example") && all.contains("other.example") && all.contains("All clients"), "{all}");
    let (_, failing) = site.page("/webhooks?failing=yes").await;
    assert!(!failing.contains("one.example") && failing.contains("other.example"), "{failing}");
    let chosen = site.page(&format!("/webhooks?client={one}")).await.1;
    assert!(chosen.contains("one.example") && !chosen.contains("other.example"), "{chosen}");
    let overview = site.page("/").await.1;
    assert!(overview.contains(r#"<a href="/webhooks?failing=yes">1 webhook fails</a>"#), "{overview}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_that_was_chosen_is_kept() {
    let mut site = Site::open().await;
    let (_, second) = (client(&site, "acme").await, client(&site, "Zebra").await);
    let chosen = site.ask(&format!("/mail?client={second}")).await;
    let kept = chosen.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    site.remember(&kept);
    for page in ["/bills", "/claims", "/usage", "/normalizations", "/webhooks"] {
        let answer = site.ask(page).await;
        assert_eq!(answer.status(), 303, "{page}");
        let there = format!("{page}?client={second}");
        assert_eq!(answer.headers()["location"], there);
        // Of a client that has nothing yet.
        assert_eq!(site.ask(&there).await.status(), 200, "{there}");
    }
    let all = site.ask("/webhooks?client=all").await;
    assert!(all.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(site.ask("/webhooks?failing=yes").await.status(), 200, "of all clients");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_says_whose_it_is() {
    let site = Site::open().await;
    let owner = client(&site, "acme").await;
    sqlx::raw_sql(&format!(
        "insert into gristmill.groups (id, policy) values ('01940000-0000-7000-8000-000000000002', 'fail_fast');
         insert into uploads (id, client_id, kind, policy, filename, state, group_id, first_block)
         values ('01940000-0000-7000-8000-000000000001', {owner}, 'debts', 'partial', 'march.csv', 'processing',
                 '01940000-0000-7000-8000-000000000002', 0)"
    ))
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let (_, text) = site.page("/groups").await;
    let upload = r#"<a href="/uploads/01940000-0000-7000-8000-000000000001">march.csv</a></td><td class="name" title="acme">acme</td>"#;
    assert!(text.contains(upload), "{text}");
    let (_, one) = site.page("/groups/01940000-0000-7000-8000-000000000002").await;
    let of = r#"<dt>Of</dt><dd><a href="/uploads/01940000-0000-7000-8000-000000000001">march.csv</a></dd><dt>Client</dt><dd>acme</dd>"#;
    assert!(one.contains(of), "{one}");
}

/// Three pages, with a way back from each.
#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_and_back() {
    let site = Site::open().await;
    let owner = client(&site, "acme").await;
    sqlx::raw_sql(&format!(
        "insert into normalizations (id, client_id, date, description, amount_minor, state)
         select ('01940000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, {owner}, '2026-01-01', 'SHOP ' || n, 100, 'queued'
         from generate_series(1, 120) n"
    ))
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let (_, first) = site.page("/normalizations").await;
    assert!(first.contains("SHOP 120<") && !first.contains("SHOP 70<") && !first.contains(">Newest<"), "{first}");
    let older = |text: &str| {
        let end = text.find(r#"">Older</a>"#).unwrap();
        let start = text[..end].rfind("href=\"").unwrap() + 6;
        text[start..end].replace("&#38;", "&")
    };
    let (_, second) = site.page(&format!("/normalizations{}", older(&first))).await;
    assert!(second.contains("SHOP 70<") && !second.contains("SHOP 120<") && second.contains(">Newest<"), "{second}");
    let (_, third) = site.page(&format!("/normalizations{}", older(&second))).await;
    assert!(third.contains("SHOP 1<") && !third.contains(">Older<"), "{third}");
}

#[tokio::test]
async fn an_address_that_no_text_can_equal_is_refused() {
    let site = Site::open().await;
    for path in [
        "/jobs?error=%00",
        "/jobs?error=%FF",
        "/mail?recipient=a%00",
        "/bills/a%00b",
        "/live?to=/jobs%3Ferror%3D%2500",
        "/login?token=%00",
    ] {
        let (status, text) = site.page(path).await;
        assert_eq!(status, 400, "{path}: {text}");
    }
    // An escaped escape, and other letters, are texts.
    for path in ["/jobs?error=%2500", "/jobs?error=%C3%A9"] {
        assert_eq!(site.page(path).await.0, 200, "{path}");
    }
}
