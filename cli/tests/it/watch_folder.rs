//! Files that land in a folder are taken once.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    gristmill,
    harness::Process,
    stack::{Stack, stack, text},
    stderr, stdout,
};

fn inbox(stack: &Stack, name: &str) -> PathBuf {
    let inbox = stack.folder.path().join(name);
    fs::create_dir(&inbox).unwrap();
    inbox
}

/// Lands a file of debts.
fn land(stack: &Stack, inbox: &Path, name: &str, seed: u32) -> PathBuf {
    let made = stack.debts(&format!("made-{seed}.csv"), 500, "0", "0", seed);
    let landed = inbox.join(name);
    fs::rename(made, &landed).unwrap();
    landed
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.retain(|name| name != ".gristmill-watch.lock");
    names
}

fn once(stack: &Stack, inbox: &Path, more: &[&str]) -> std::process::Output {
    stack.run(&[&["watch-folder", text(inbox), "--once", "--settle", "0", "--json"], more].concat())
}

fn lines(output: &std::process::Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The uploads of files with this name.
fn uploads(stack: &Stack, name: &str) -> Vec<Value> {
    let uploads = stack.run(&["uploads", "--json", "--limit", "1000"]);
    let uploads: Vec<Value> = lines(&uploads);
    uploads.into_iter().filter(|upload| upload["filename"] == name).collect()
}

#[test]
fn what_lands_is_sent_and_put_where_it_belongs() {
    let stack = stack();
    let inbox = inbox(&stack, "inbox-sorted");
    land(&stack, &inbox, "good.csv", 901);
    fs::write(inbox.join("bad.csv"), "a,b\n1,2\n").unwrap();
    fs::write(inbox.join("later.csv.part"), "a,b\n").unwrap();
    let output = once(&stack, &inbox, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let told = lines(&output);
    let good = told.iter().find(|line| line["file"] == "good.csv").unwrap();
    assert_eq!(uploads(&stack, "good.csv")[0]["id"], good["upload"]);
    assert_eq!(names(&inbox), ["done", "later.csv.part", "refused"]);
    assert_eq!(names(&inbox.join("done")), ["good.csv"]);
    assert_eq!(names(&inbox.join("refused")), ["bad.csv", "bad.csv.problem.json"]);
    let problem = fs::read(inbox.join("refused/bad.csv.problem.json")).unwrap();
    let problem: Value = serde_json::from_slice(&problem).unwrap();
    assert_eq!(problem["status"], 422);
    assert!(problem["type"].as_str().unwrap().ends_with("/wrong-header"), "{problem}");
    assert!(problem["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{problem}");

    let nothing = once(&stack, &inbox, &[]);
    assert_eq!((nothing.status.code(), stdout(&nothing).as_str()), (Some(0), ""), "{}", stderr(&nothing));
}

#[test]
fn what_stays_is_noted_and_sent_again_when_it_changes() {
    let stack = stack();
    let inbox = inbox(&stack, "inbox-kept");
    let file = land(&stack, &inbox, "kept.csv", 902);
    fs::write(inbox.join("bad.csv"), "a,b\n1,2\n").unwrap();
    assert_eq!(lines(&once(&stack, &inbox, &["--keep"])).len(), 2);
    assert_eq!(names(&inbox), [".gristmill-watch.json", "bad.csv", "kept.csv"]);
    assert_eq!(stdout(&once(&stack, &inbox, &["--keep"])), "");
    let made = stack.debts("made-903.csv", 400, "0", "0", 903);
    fs::copy(made, &file).unwrap();
    let again = lines(&once(&stack, &inbox, &["--keep"]));
    assert_eq!((again.len(), &again[0]["file"]), (1, &Value::from("kept.csv")));
    assert_eq!(uploads(&stack, "kept.csv").len(), 2);
    fs::write(inbox.join(".gristmill-watch.json"), "{").unwrap();
    let broken = once(&stack, &inbox, &["--keep"]);
    assert!(stderr(&broken).contains("cannot read") && broken.status.code() == Some(1), "{}", stderr(&broken));
}

#[test]
fn what_is_wrong_with_the_command_costs_no_file() {
    let stack = stack();
    let inbox = inbox(&stack, "inbox-wrong");
    land(&stack, &inbox, "safe.csv", 904);
    for wrong in [&["--dates", "yearly"][..], &["--key", "gm_wrong"], &["--api", "http://127.0.0.1:9"]] {
        let output = once(&stack, &inbox, wrong);
        assert_eq!(output.status.code(), Some(1), "{wrong:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("safe.csv was not sent"), "{}", stderr(&output));
        assert_eq!(names(&inbox), ["safe.csv"]);
    }
    let nowhere = once(&stack, &inbox.join("nowhere"), &[]);
    assert!(stderr(&nowhere).contains("there is no folder"), "{}", stderr(&nowhere));
}

/// Passes requests on to the API. From the first file on the API's answers are kept back.
struct Mute {
    addr: String,
    sent: Arc<AtomicBool>,
}

impl Mute {
    fn before(api: &str) -> Self {
        let api = api.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&sent);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&api).unwrap());
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (up, down) = (Arc::clone(&flag), Arc::clone(&flag));
                thread::spawn(move || {
                    copy(from, to, |bytes| {
                        if bytes.windows(17).any(|found| found == b"POST /v1/uploads?") {
                            up.store(true, Ordering::SeqCst);
                        }
                        true
                    })
                });
                thread::spawn(move || copy(server, client, |_| !down.load(Ordering::SeqCst)));
            }
        });
        Self { addr, sent }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if passes(&buffer[..read]) && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(60), "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_watcher_that_is_killed_before_it_hears_the_answer_has_sent_the_file_once() {
    let stack = stack();
    let inbox = inbox(&stack, "inbox-killed");
    land(&stack, &inbox, "killed.csv", 905);
    let mute = Mute::before(&stack.api);
    let mut command = gristmill(stack.folder.path());
    // By force the same file is another upload: only its key says that it was sent.
    command.args(["watch-folder", text(&inbox), "--settle", "0", "--every", "1", "--force", "--api", &mute.addr]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut watcher = Process::of(&mut command);
    until("the file arrives", || {
        mute.sent.load(Ordering::SeqCst)
            && uploads(&stack, "killed.csv").first().is_some_and(|upload| upload["received_at"].is_string())
    });
    let locked = once(&stack, &inbox, &[]);
    assert!(stderr(&locked).contains("is watched by another process"), "{}", stderr(&locked));
    watcher.kill();
    assert_eq!(names(&inbox), ["killed.csv"]);
    let told = lines(&once(&stack, &inbox, &["--force"]));
    let sent = uploads(&stack, "killed.csv");
    assert_eq!((told.len(), sent.len()), (1, 1));
    assert_eq!(told[0]["upload"], sent[0]["id"]);
    assert_eq!(names(&inbox.join("done")), ["killed.csv"]);
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let stack = stack();
    let inbox = inbox(&stack, "inbox-waiting");
    // Its port is known before anything listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let mut command = gristmill(stack.folder.path());
    let log = stack.folder.path().join("waiting.log");
    command.args(["watch-folder", text(&inbox), "--settle", "0", "--every", "1", "--api", &format!("http://{addr}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
    let _watcher = Process::of(&mut command);
    land(&stack, &inbox, "waited.csv", 906);
    until("it says that it waits", || fs::read_to_string(&log).unwrap().contains("trying again in"));
    let api = stack.api.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let listener = TcpListener::bind(addr).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&api).unwrap());
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || copy(from, to, |_| true));
            thread::spawn(move || copy(server, client, |_| true));
        }
    });
    until("it is taken", || names(&inbox.join("done")) == ["waited.csv"]);
    assert_eq!(uploads(&stack, "waited.csv").len(), 1);
}
