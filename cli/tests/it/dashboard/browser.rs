//! Chromium and its driver, started for one test.

use std::{
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::Value;
use thirtyfour::prelude::*;

use crate::stack::Stack;

/// A busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Browser {
    driver: WebDriver,
    process: Child,
    base: String,
    _profile: tempfile::TempDir,
}

/// Where the dashboard is.
pub(super) fn dashboard(stack: &Stack) -> String {
    let told = std::fs::read(stack.folder.path().join(".gristmill/up.json")).unwrap();
    serde_json::from_slice::<Value>(&told).unwrap()["monitor"].as_str().unwrap().to_owned()
}

impl Browser {
    pub(super) async fn open(stack: &Stack) -> Self {
        // An error says that another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is missing: `make test` installs it");
        let profile = tempfile::tempdir().unwrap();
        let mut wanted = DesiredCapabilities::chrome();
        for flag in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,900"] {
            wanted.add_arg(flag).unwrap();
        }
        wanted.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        let since = Instant::now();
        let driver = loop {
            match WebDriver::new(format!("http://127.0.0.1:{port}"), wanted.clone()).await {
                Ok(driver) => break driver,
                Err(error) if since.elapsed() > PATIENCE => panic!("the browser does not start: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        };
        Self { driver, process, base: dashboard(stack), _profile: profile }
    }

    /// With the operator's key of the stack.
    pub(super) async fn log_in(&self, stack: &Stack) {
        let key = std::fs::read_to_string(stack.folder.path().join(".gristmill/dev.key")).unwrap();
        self.go("/login").await;
        self.enter_key(key.trim()).await;
        assert_eq!(self.path().await, "/");
    }

    pub(super) async fn enter_key(&self, key: &str) {
        self.find("#key").await.send_keys(key).await.unwrap();
        self.click(".login button").await;
        self.until("the answer", "return document.readyState === 'complete'").await;
    }

    pub(super) async fn go(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.base)).await.unwrap();
        // What goes wrong in scripts from here on is kept, and what the page's policy forbids.
        let listen = "window.complaints ??= []; addEventListener('error', e => complaints.push(e.message)); \
                      document.addEventListener('securitypolicyviolation', e => complaints.push(e.violatedDirective + ' ' + e.blockedURI)); \
                      return 1";
        self.ask(listen).await;
    }

    pub(super) async fn complaints(&self) -> Vec<String> {
        // Time for the live part to come.
        tokio::time::sleep(Duration::from_millis(300)).await;
        serde_json::from_value(self.ask("return window.complaints").await).unwrap()
    }

    pub(super) async fn find(&self, selector: &str) -> WebElement {
        self.driver.query(By::Css(selector)).wait(PATIENCE, Duration::from_millis(100)).first().await.unwrap()
    }

    pub(super) async fn click(&self, selector: &str) {
        // The page may be rendered anew between finding and clicking.
        for _ in 0..20 {
            if self.find(selector).await.click().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{selector} cannot be clicked");
    }

    pub(super) async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.unwrap()
    }

    pub(super) async fn path(&self) -> String {
        self.ask("return location.pathname").await.as_str().unwrap().to_owned()
    }

    pub(super) async fn ask(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// A script that calls `done` with its answer.
    pub(super) async fn ask_later(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.driver.execute_async(&script, Vec::new()).await.unwrap().json().clone()
    }

    /// Status and body of a request from the page, with this token.
    pub(super) async fn fetch(&self, method: &str, path: &str, token: &str) -> (u64, String) {
        let script = format!(
            "fetch('{path}', {{ method: '{method}', headers: {{ 'X-CSRF-Token': '{token}' }} }}) \
             .then(async r => done([r.status, await r.text()]))"
        );
        let answer = self.ask_later(&script).await;
        (answer[0].as_u64().unwrap(), answer[1].as_str().unwrap().to_owned())
    }

    pub(super) async fn until(&self, what: &str, script: &str) {
        let since = Instant::now();
        // In the middle of a change of pages nothing can be asked.
        while !self.driver.execute(script, Vec::new()).await.is_ok_and(|answer| answer.json() == &Value::Bool(true)) {
            assert!(since.elapsed() < PATIENCE, "waited for {what} in vain");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) async fn quit(mut self) {
        let _ = self.driver.clone().quit().await;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// axe-core, from npm: what it finds is what people with a screen reader or little sight would stumble over.
pub(super) fn axe() -> Option<&'static str> {
    static AXE: OnceLock<Option<String>> = OnceLock::new();
    AXE.get_or_init(|| {
        let folder = tempfile::tempdir().ok()?;
        let npm = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@4.14.1"];
        Command::new("npm")
            .args(npm)
            .current_dir(folder.path())
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        std::fs::read_to_string(folder.path().join("node_modules/axe-core/axe.min.js")).ok()
    })
    .as_deref()
}
