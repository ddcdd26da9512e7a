//! Who comes in.

use axum::Router;
use gristmill_board::{Board, Keys, Loopback, ProxyHeader};

use crate::served::{BASE, Filled, said, serve, serve_routes};

const OPS: &str = "0123456789abcdef-ops";
const VIEWER: &str = "0123456789abcdef-viewer";

#[tokio::test(flavor = "multi_thread")]
async fn keys_let_in_and_a_viewers_key_does_not_act() {
    let filled = Filled::new().await;
    let keys = Keys::new().operator("ops", OPS).unwrap().viewer("eve", VIEWER).unwrap();
    let served = serve(Board::new(filled.queue.clone()).access(keys)).await;
    let queues = format!("{BASE}/queues");
    let answer = served.get(&queues).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 401);
    assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    for wrong in ["0123456789abcdef", ""] {
        assert_eq!(said(served.get(&queues).basic_auth("ops", Some(wrong))).await.0, 401);
        assert_eq!(said(served.get(&queues).bearer_auth(wrong)).await.0, 401);
    }
    // Styles tell nothing, and come without a key.
    assert_eq!(served.page(&format!("{BASE}/assets/app.css")).await.0, 200);

    let (status, text) = said(served.get(&queues).basic_auth("whoever", Some(VIEWER))).await;
    assert!(status == 200 && text.contains("signed in as eve (viewer)") && !text.contains("hx-post"), "{text}");
    let pause = "queues/thumbs%2Flarge%20%26%20small/pause";
    let (status, text) = said(served.press(pause).basic_auth("", Some(VIEWER))).await;
    assert_eq!((status, text.as_str()), (403, "A viewer may look, not act. Come as an operator."));
    assert_eq!(said(served.press(pause)).await.0, 401);
    let paused = async || filled.queue.queues().list().await.unwrap().iter().any(|queue| queue.paused);
    assert!(!paused().await, "nobody has acted yet");

    let (status, text) = said(served.press(pause).bearer_auth(OPS)).await;
    assert_eq!((status, text.as_str()), (200, "Queue thumbs/large & small: paused"));
    assert!(paused().await);
    let (_, audit) = said(served.get(&format!("{BASE}/audit")).bearer_auth(OPS)).await;
    for cell in [
        "<td>ops</td><td><code>queues.pause</code></td><td class=\"long\">thumbs/large &#38; small</td><td>Queue thumbs/large &#38; small: paused",
        "<td>eve</td><td><code>refused</code></td><td class=\"long\">queues/thumbs/large &#38; small/pause</td><td>Refused: a viewer may look, not act",
    ] {
        assert!(audit.contains(cell), "{cell}: {audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_presses_no_button() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    let press = || served.press("queues/thumbs%2Flarge%20%26%20small/drain");
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
    {
        assert_eq!(said(press().header(name, value)).await.0, 403, "{name}: {value}");
    }
    assert!(!filled.queue.queues().list().await.unwrap().iter().any(|queue| queue.draining));
    assert_eq!(said(press().header("sec-fetch-site", "same-origin")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_this_machine_is_let_in_and_nobody_else() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone()).access(Loopback::named("me"))).await;
    let jobs = format!("{BASE}/jobs");
    assert!(served.page(&jobs).await.1.contains("signed in as me"));
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example:80"),
        ("x-forwarded-for", "10.0.0.1"),
        ("via", "1.1 proxy"),
    ] {
        assert_eq!(said(served.get(&jobs).header(name, value)).await.0, 403, "{name}: {value}");
    }
    assert_eq!(said(served.get(&jobs).header("host", "localhost:3000")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxys_header_is_believed_from_the_proxy_only() {
    let filled = Filled::new().await;
    let of_proxy = || ProxyHeader::new("x-forwarded-email").unwrap().operators(["ana@example.com"]);
    let by_group = of_proxy().operators_in("x-forwarded-groups", "on-call").unwrap();
    let served = serve(Board::new(filled.queue.clone()).access(by_group)).await;
    let jobs = format!("{BASE}/jobs");
    let (status, text) = served.page(&jobs).await;
    assert!(status == 401 && text.contains("`x-forwarded-email`"), "{status}: {text}");
    for (name, groups, acts) in [
        ("ana@example.com", "", true),
        ("rui@example.com", "sales,on-call", true),
        ("rui@example.com", "sales, on-caller", false),
    ] {
        let request = served.get(&jobs).header("x-forwarded-email", name).header("x-forwarded-groups", groups);
        let (status, text) = said(request).await;
        assert!(status == 200 && text.contains(&format!("signed in as {name}")), "{text}");
        assert_eq!(text.contains("(viewer)"), !acts, "{name} in {groups}");
    }
    let twice = served.get(&jobs).header("x-forwarded-email", "eve").header("x-forwarded-email", "ana@example.com");
    assert_eq!(said(twice).await.0, 401, "nobody knows which one is the proxy's");

    let elsewhere = of_proxy().from_peers(["10.0.0.7".parse().unwrap()]);
    let served = serve(Board::new(filled.queue.clone()).access(elsewhere)).await;
    let (status, text) = said(served.get(&jobs).header("x-forwarded-email", "ana@example.com")).await;
    assert!(status == 403 && text.contains("127.0.0.1 is not the proxy"), "{status}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_say_who_connects_lets_nobody_in() {
    let filled = Filled::new().await;
    let routes: Router = Board::new(filled.queue.clone()).base(BASE).router().unwrap();
    // As if it were served without `into_make_service_with_connect_info`.
    let forgets = axum::middleware::map_request(|mut request: axum::extract::Request| async move {
        request.extensions_mut().remove::<axum::extract::ConnectInfo<std::net::SocketAddr>>();
        request
    });
    let served = serve_routes(Router::new().merge(routes).layer(forgets)).await;
    let (status, text) = served.page(&format!("{BASE}/jobs")).await;
    assert!(status == 500 && text.contains("into_make_service_with_connect_info"), "{status}: {text}");
}

#[test]
fn keys_and_headers_that_cannot_be_used_say_why() {
    let short = Keys::new().operator("ops", "secret").err().unwrap().to_string();
    assert_eq!(short, "the key of ops is too short: take one of at least 16 random characters");
    let same = Keys::new().operator("ops", OPS).unwrap().viewer("eve", OPS).err().unwrap().to_string();
    assert_eq!(same, "eve and ops have the same key: give each one of their own");
    assert_eq!(ProxyHeader::new("x user").err().unwrap().to_string(), "`x user` cannot be the name of a header");
}
