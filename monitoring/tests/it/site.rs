//! A dashboard in this process, on engines that the test may take away.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use gristmill_monitoring::{Engines as _, Health, Server, dashboard::Dashboard};
use gristmill_platform::{
    config::{LimitsConfig, RoleConfig},
    engines::Engines,
    testing::{self, Stack},
};
use tokio_util::sync::CancellationToken;

/// A busy machine takes its time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

pub(crate) struct Site {
    pub(crate) engines: Engines,
    pub(crate) stack: Stack,
    pub(crate) url: String,
    cookie: String,
    http: reqwest::Client,
    _shutdown: tokio_util::sync::DropGuard,
}

impl Site {
    /// Somebody has logged in.
    pub(crate) async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let engines = testing::engines().await;
        let stack = testing::stack_on(&engines).await;
        let health = Health::of("monitor").with_database(stack.pool.clone()).with_redis(&stack.redis()).unwrap();
        let role = RoleConfig {
            database: stack.database(),
            redis: stack.redis(),
            store: stack.store_config(),
            ..RoleConfig::default()
        };
        let dashboard = Dashboard::open(&role, &LimitsConfig::default(), health.clone()).await.unwrap();
        let token = dashboard.link("tester").await.unwrap();
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", server.addr());
        let shutdown = CancellationToken::new();
        tokio::spawn(server.serve_beside(dashboard.routes().unwrap(), health, shutdown.clone()));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let answer = http.get(format!("{url}/login?token={token}")).send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { engines, stack, url, cookie, http, _shutdown: shutdown.drop_guard() }
    }

    /// As a browser does with a cookie.
    pub(crate) fn remember(&mut self, cookie: &str) {
        self.cookie = format!("{}; {cookie}", self.cookie);
    }

    pub(crate) async fn ask(&self, path: &str) -> reqwest::Response {
        let asked = self.http.get(format!("{}{path}", self.url)).header("cookie", &self.cookie);
        asked.header("accept", "text/html").send().await.unwrap()
    }

    /// Status and text of a page.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        let answer = self.ask(path).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Loads the page again until it is as wanted.
    pub(crate) async fn until(&self, path: &str, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let since = Instant::now();
        loop {
            let (_, text) = self.page(path).await;
            if wanted(&text) {
                return text;
            }
            assert!(since.elapsed() < DEADLINE, "{path}: waited for {what} in vain: {text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Reads what the page's live part sends until there is an event that is wanted.
    pub(crate) async fn event(&self, page: &str, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut events = self.ask(&format!("/live?to={page}")).await.bytes_stream();
        let mut text = String::new();
        let reading = async {
            while let Some(piece) = events.next().await {
                text.push_str(&String::from_utf8_lossy(&piece.unwrap()));
                while let Some((event, rest)) = text.split_once("\n\n") {
                    if wanted(event) {
                        return event.to_owned();
                    }
                    text = rest.to_owned();
                }
            }
            panic!("the live part of {page} has ended");
        };
        tokio::time::timeout(DEADLINE, reading).await.unwrap_or_else(|_| panic!("waited for {what} in vain"))
    }
}
