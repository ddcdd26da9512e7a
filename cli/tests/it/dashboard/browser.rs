//! Chromium and its driver, started for one test. What is wanted of the driver is a handful of requests (W3C WebDriver), so
//! they are made here: the client libraries turn on `serde_json`'s `preserve_order`, for the whole workspace.

use std::{
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::{harness::free_port, stack::Stack};

/// A busy machine takes its time.
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) struct Browser {
    http: reqwest::Client,
    /// The driver's address of this session.
    session: String,
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
        let port = free_port();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is missing: `make test` installs it");
        let profile = tempfile::tempdir().unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let flags = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,900", &folder];
        let wanted = json!({ "goog:chromeOptions": { "args": flags }, "timeouts": { "script": 60_000 } });
        let wanted = json!({ "capabilities": { "alwaysMatch": wanted } });
        let http = reqwest::Client::new();
        let driver = format!("http://127.0.0.1:{port}/session");
        let since = Instant::now();
        let id = loop {
            let answer = http.post(&driver).json(&wanted).send().await;
            if let Ok(answer) = answer
                && let Ok(answer) = answer.json::<Value>().await
                && let Some(id) = answer["value"]["sessionId"].as_str()
            {
                break id.to_owned();
            }
            assert!(since.elapsed() < DEADLINE, "the browser does not start");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        Self { http, session: format!("{driver}/{id}"), process, base: dashboard(stack), _profile: profile }
    }

    /// Tells the driver to do something; what it says is wrong is an error.
    async fn tell(&self, what: &str, with: Value) -> Result<Value, String> {
        let request = self.http.post(format!("{}/{what}", self.session)).json(&with);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let (good, mut said) =
            (answer.status().is_success(), answer.json::<Value>().await.map_err(|error| error.to_string())?);
        if good { Ok(said["value"].take()) } else { Err(said["value"]["message"].to_string()) }
    }

    async fn asked(&self, how: &str, script: &str) -> Result<Value, String> {
        self.tell(&format!("execute/{how}"), json!({ "script": script, "args": [] })).await
    }

    /// With the operator's key of the stack.
    pub(super) async fn log_in(&self, stack: &Stack) {
        let key = std::fs::read_to_string(stack.folder.path().join(".gristmill/dev.key")).unwrap();
        self.go("/login").await;
        self.enter_key(key.trim()).await;
        assert_eq!(self.path().await, "/");
    }

    pub(super) async fn enter_key(&self, key: &str) {
        self.type_into("#key", key).await;
        // The form's page is there, and complete, until its answer comes: a mark tells the two apart.
        self.ask("window.asked = true; return 1").await;
        self.click(".login button").await;
        self.until("the answer", "return !window.asked && document.readyState === 'complete'").await;
    }

    pub(super) async fn go(&self, path: &str) {
        self.tell("url", json!({ "url": format!("{}{path}", self.base) })).await.unwrap();
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

    /// An element's name at the driver; waits until it is there.
    pub(super) async fn find(&self, selector: &str) -> String {
        let since = Instant::now();
        loop {
            let found = self.tell("element", json!({ "using": "css selector", "value": selector })).await;
            let name = found.ok().and_then(|found| found.as_object()?.values().next()?.as_str().map(str::to_owned));
            if let Some(name) = name {
                return name;
            }
            assert!(since.elapsed() < DEADLINE, "there is no {selector}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Types, or chooses a file.
    pub(super) async fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.tell(&format!("element/{element}/value"), json!({ "text": text })).await.unwrap();
    }

    pub(super) async fn click(&self, selector: &str) {
        // The page may be rendered anew between finding and clicking.
        for _ in 0..20 {
            let element = self.find(selector).await;
            if self.tell(&format!("element/{element}/click"), json!({})).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{selector} cannot be clicked");
    }

    pub(super) async fn text(&self, selector: &str) -> String {
        self.find(selector).await;
        self.ask(&format!("return document.querySelector('{selector}').innerText")).await.as_str().unwrap().to_owned()
    }

    pub(super) async fn path(&self) -> String {
        self.ask("return location.pathname").await.as_str().unwrap().to_owned()
    }

    pub(super) async fn ask(&self, script: &str) -> Value {
        self.asked("sync", script).await.unwrap()
    }

    /// A script that calls `done` with its answer.
    pub(super) async fn ask_later(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.asked("async", &script).await.unwrap()
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
        while self.asked("sync", script).await != Ok(Value::Bool(true)) {
            assert!(since.elapsed() < DEADLINE, "waited for {what} in vain");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Makes the window this wide and high, as narrow as phones are too.
    pub(super) async fn size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.tell("goog/cdp/execute", command).await.unwrap();
    }

    /// What is seen, as a PNG file.
    pub(super) async fn picture(&self) -> Vec<u8> {
        let answer = self.http.get(format!("{}/screenshot", self.session)).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        base64::engine::general_purpose::STANDARD.decode(answer["value"].as_str().unwrap()).unwrap()
    }

    pub(super) async fn quit(mut self) {
        let _ = self.http.delete(&self.session).send().await;
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
