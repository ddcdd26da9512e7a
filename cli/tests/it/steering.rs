//! Jobs, groups, queues, workers and schedules by command.

use std::{
    process::Output,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    stack::{Stack, stack, text},
    stderr, stdout,
};

fn lines(stack: &Stack, args: &[&str]) -> Vec<Value> {
    let output = stack.run(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(stack: &Stack, args: &[&str]) -> String {
    good(args, &stack.run(args))
}

/// What a command says, as soon as it has counted all that it is about: a busy machine says `N+ jobs` in its time.
fn counted(stack: &Stack, args: &[&str]) -> Output {
    let since = Instant::now();
    loop {
        let output = stack.run(args);
        let whole = [stdout(&output), stderr(&output)].iter().all(|text| !text.contains("+ jobs"));
        if whole || since.elapsed() > Duration::from_secs(60) {
            return output;
        }
    }
}

fn good(args: &[&str], output: &Output) -> String {
    assert!(output.status.success(), "{args:?}: {}", stderr(output));
    let text = stdout(output);
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    // What shows one thing whole has a line of JSON in it.
    let whole = ["show", "--json", "pause", "resume"].iter().any(|word| args.contains(word));
    assert!(widest <= 80 || whole, "{widest} columns:\n{text}");
    text
}

#[test]
fn the_jobs_of_an_upload_are_listed_and_shown() {
    let stack = stack();
    let file = stack.debts("steered.csv", 2_000, "0", "0", 301);
    assert!(stack.run(&["upload", text(&file), "--follow"]).status.success());
    let jobs =
        lines(&stack, &["jobs", "list", "--name", "uploads.load_chunk", "--client", "dev", "--newer", "1h", "--json"]);
    assert!(!jobs.is_empty() && jobs[0]["client"] == "dev" && jobs[0]["queue"] == "chunks", "{jobs:?}");
    let id = jobs[0]["id"].as_str().unwrap();
    let shown = said(&stack, &["jobs", "show", id]);
    assert!(shown.contains("uploads.load_chunk") && shown.contains("upload_id"), "{shown}");
    let table = said(&stack, &["jobs", "list", "--limit", "3"]);
    assert!(table.starts_with("ID ") && table.lines().count() >= 2, "{table}");
    let count = said(&stack, &["jobs", "list", "--name", "uploads.load_chunk", "--count"]);
    assert!(count.trim_end().ends_with("jobs") || count.trim_end().ends_with("job"), "{count}");

    let group = jobs[0]["group_id"].as_str().unwrap();
    let members = lines(&stack, &["jobs", "list", "--group", group, "--json"]);
    assert!(members.iter().any(|job| job["id"] == id), "{members:?}");
    assert!(said(&stack, &["groups", "list"]).contains(group));
    assert!(said(&stack, &["groups", "show", group]).contains("fail_fast"));
    // An upload's group is not steered apart from its upload.
    let refused = stack.run(&["groups", "retry", group]);
    assert!(!refused.status.success() && stderr(&refused).contains("DELETE /v1/uploads/"), "{}", stderr(&refused));
}

#[test]
fn many_are_not_touched_unless_it_is_said() {
    let stack = stack();
    let nothing = stack.run(&["jobs", "redrive"]);
    assert!(stderr(&nothing).contains("which jobs to redrive?"), "{}", stderr(&nothing));
    let none = counted(&stack, &["jobs", "discard", "--name", "of-nobody"]);
    assert!(none.status.success() && stderr(&none).contains("no such jobs"), "{}", stderr(&none));
    let cut = ["schedules", "put", "cut", "--cron", "@yearly", "--job", "waits", "--payload", "{"];
    let words = stderr(&stack.run(&cut));
    assert!(
        words.starts_with("error: the --payload { is not JSON\ncause: EOF") && words.contains("\ndo:    give "),
        "{words}"
    );
    // Enqueued by a schedule, for nobody: they wait.
    let put = ["schedules", "put", "waiting", "--cron", "@yearly", "--job", "waits", "--queue", "nowhere", "--json"];
    lines(&stack, &put);
    let first = lines(&stack, &["schedules", "run", "waiting", "--json"])[0]["job_id"].as_str().unwrap().to_owned();
    said(&stack, &["schedules", "run", "waiting"]);
    let asked = counted(&stack, &["jobs", "cancel", "--name", "waits"]);
    let words = stderr(&asked);
    assert!(!asked.status.success() && words.contains("2 jobs with name waits") && words.contains("--yes"), "{words}");
    let dry = ["jobs", "cancel", "--name", "waits", "--dry-run"];
    let dry = good(&dry, &counted(&stack, &dry));
    assert!(dry.contains("2 jobs"), "{dry}");
    assert_eq!(said(&stack, &["jobs", "cancel", &first]), "1 cancelled\n");
    assert_eq!(said(&stack, &["jobs", "cancel", "--name", "waits", "--yes"]), "1 cancelled\n");
    let again = stack.run(&["jobs", "cancel", &first]);
    assert!(!again.status.success() && stderr(&again).contains("1 left as they are"), "{}", stderr(&again));
    assert_eq!(said(&stack, &["jobs", "redrive", &first]), "1 run again\n");
    let answer = &lines(&stack, &["jobs", "cancel", "--queue", "nowhere", "--yes", "--json"])[0];
    assert_eq!(answer, &serde_json::json!({ "action": "cancel", "changed": 1, "requested": 0 }));
    let ticks = said(&stack, &["schedules", "ticks", "waiting"]);
    assert!(ticks.lines().count() == 3 && ticks.contains("run_now"), "{ticks}");
    assert!(said(&stack, &["schedules", "list"]).contains("waiting"));
    assert!(said(&stack, &["schedules", "pause", "waiting"]).contains("paused"));
    assert!(!said(&stack, &["schedules", "resume", "waiting"]).contains("paused"));
    let bounded = [
        "schedules",
        "put",
        "bounded",
        "--cron",
        "@hourly",
        "--job",
        "waits",
        "--queue",
        "nowhere",
        "--overlap",
        "skip",
    ];
    let bounds = ["--starts-at", "2100-01-01T00:00:00Z", "--ends-at", "2100-01-02T00:00:00Z", "--json"];
    let made = &lines(&stack, &[&bounded[..], &bounds].concat())[0];
    assert_eq!((&made["overlap"], &made["next"][0]), (&"skip".into(), &"2100-01-01T00:00:00Z".into()));
    let shown = said(&stack, &["schedules", "show", "bounded"]);
    assert!(shown.contains("overlaps   skip") && shown.contains("ends       2100-01-02T00:00:00Z"), "{shown}");
    let once =
        ["schedules", "put", "once", "--at", "2100-01-01T07:00", "--time-zone", "America/Sao_Paulo", "--job", "waits"];
    let made = &lines(&stack, &[&once[..], &["--queue", "nowhere", "--json"]].concat())[0];
    assert_eq!((&made["at"], made["next"].as_array().unwrap().len()), (&"2100-01-01T10:00:00Z".into(), 1));
    let past = stack.run(&["schedules", "put", "past", "--at", "2020-01-01T07:00:00Z", "--job", "waits"]);
    assert!(!past.status.success() && stderr(&past).contains("no tick of it is to come"), "{}", stderr(&past));
    for name in ["bounded", "once"] {
        assert_eq!(said(&stack, &["schedules", "delete", name, "--yes"]), "removed\n");
    }
    assert!(!stack.run(&["schedules", "delete", "waiting"]).status.success());
    assert_eq!(said(&stack, &["schedules", "delete", "waiting", "--yes"]), "removed\n");
}

#[test]
fn jobs_are_enqueued_one_and_many() {
    let stack = stack();
    let id = said(&stack, &["jobs", "enqueue", "one.job", "--queue", "nowhere-else"]);
    let uuid = id.trim().parse::<uuid::Uuid>();
    assert!(uuid.is_ok(), "{id}");
    let options =
        ["--payload", r#"{"to": 7}"#, "--delay", "2h", "--priority", "1", "--max-attempts", "3", "--timeout", "5m"];
    let more = ["--queue", "nowhere-else", "--tag", "red", "--tag", "round", "--unique-key", "only-one", "--json"];
    let args = [&["jobs", "enqueue", "one.job"], &options[..], &more[..]].concat();
    let first = lines(&stack, &args)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(lines(&stack, &args)[0], serde_json::json!({ "existing": first }), "the key is taken");
    let shown = said(&stack, &["jobs", "show", &first]);
    for line in [
        "state      scheduled",
        "queue      nowhere-else, priority 1",
        "tags       red, round",
        "timeout    5 min 00 s",
    ] {
        assert!(shown.contains(line), "no {line} in\n{shown}");
    }

    // Many, a line of JSON each; blank lines are none.
    let jobs = (0..10_050).map(|n| {
        format!("{{\"name\":\"many.job\",\"queue\":\"nowhere-else\",\"payload\":{{\"n\":{n}}},\"tags\":[\"many\"]}}\n")
    });
    let all = stack.run_with(&["jobs", "enqueue"], &format!("{}\n\n", jobs.collect::<String>()));
    assert_eq!((stdout(&all).as_str(), stderr(&all).as_str()), ("10050 jobs enqueued\n", ""));
    let keyed = "{\"name\":\"many.job\",\"queue\":\"nowhere-else\",\"unique_key\":\"the one\"}\n".repeat(2);
    let some = stack.run_with(&["jobs", "enqueue"], &keyed);
    assert_eq!(stdout(&some), "1 jobs enqueued, 1 were there already\n");
    let many = said(&stack, &["jobs", "list", "--tag", "many", "--count"]);
    let number = many.strip_suffix("+ jobs\n").and_then(|number| number.replace(',', "").parse::<u32>().ok());
    assert!(number.is_some_and(|number| number <= 10_000), "{many}");
    assert_eq!(lines(&stack, &["jobs", "list", "--tag", "round", "--json"])[0]["id"], first.as_str());

    // What is wrong is said, and where; nothing of it is enqueued.
    for (args, input, told) in [
        (&["jobs", "enqueue", "bad.job", "--payload", "{"][..], "", "it is not JSON"),
        (&["jobs", "enqueue", "bad.job", "--priority", "10"], "", "priority"),
        (&["jobs", "enqueue", "bad.job", "--delay", "soon"], "", "delay"),
        (&["jobs", "enqueue", "--queue", "x"], "", "<NAME>"),
        (&["jobs", "enqueue"], "{\"name\":\"bad.job\"}\n{\"name\":\"bad.job\",\"nane\":1}\n", "line 2: nane"),
        (&["jobs", "enqueue"], "{\"name\":\"bad.job\"}\nno job\n", "line 2"),
    ] {
        let refused = stack.run_with(args, input);
        assert!(!refused.status.success() && stderr(&refused).contains(told), "{args:?}: {}", stderr(&refused));
    }
    assert_eq!(lines(&stack, &["jobs", "list", "--name", "bad.job", "--json"]), Vec::<Value>::new());

    // One that waits is changed, run now, and run again with another payload.
    let nothing = stack.run(&["jobs", "change", &first]);
    assert!(stderr(&nothing).contains("what is to be changed?"), "{}", stderr(&nothing));
    let change = [
        "jobs",
        "change",
        &first,
        "--payload",
        r#"{"to": 8}"#,
        "--priority",
        "0",
        "--delay",
        "3h",
        "--tag",
        "blue",
        "--json",
    ];
    let changed = &lines(&stack, &change)[0];
    assert_eq!(
        (&changed["payload"]["to"], &changed["priority"], &changed["tags"][0]),
        (&8.into(), &0.into(), &"blue".into())
    );
    let promoted = &lines(&stack, &["jobs", "promote", &first, "--json"])[0];
    assert!(promoted["run_at"].as_str() < changed["run_at"].as_str(), "{promoted}");
    assert_eq!(said(&stack, &["jobs", "cancel", &first]), "1 cancelled\n");
    let retried = &lines(&stack, &["jobs", "retry", &first, "--payload", r#"{"to": 9}"#, "--json"])[0];
    assert_eq!(
        (&retried["state"], &retried["payload"]["to"], &retried["redriven"]),
        (&"available".into(), &9.into(), &1.into())
    );
    let again = stack.run(&["jobs", "retry", &first]);
    assert!(!again.status.success() && stderr(&again).contains("only what is dead"), "{}", stderr(&again));
    said(&stack, &["jobs", "cancel", "--queue", "nowhere-else", "--yes"]);
}

#[test]
fn queues_and_workers_are_seen_and_steered() {
    let stack = stack();
    let worker = stack.worker();
    assert!(worker["lines"].as_array().unwrap().iter().any(|line| line["queue"] == "gristmill"), "{worker}");
    assert!(said(&stack, &["workers", "list"]).contains(worker["id"].as_str().unwrap()));
    let gone = stack.run(&["workers", "drain", "0199aaaa-0000-7000-8000-000000000000"]);
    assert!(stderr(&gone).contains("There is no worker"), "{}", stderr(&gone));

    let table = said(&stack, &["queues", "list"]);
    assert!(table.starts_with("QUEUE ") && table.contains("chunks"), "{table}");
    let typo = stack.run(&["queues", "pause", "blling"]);
    assert!(!typo.status.success() && stderr(&typo).contains("There is no queue 'blling'"), "{}", stderr(&typo));
    assert!(said(&stack, &["queues", "pause", "billing"]).contains("paused"));
    assert!(said(&stack, &["queues", "drain", "billing"]).contains("draining"));
    assert!(said(&stack, &["queues", "resume", "billing"]).contains("open"));
    let limited = said(&stack, &["queues", "limit", "billing", "--concurrency", "3", "--per-client", "1"]);
    assert!(limited.contains("billing: at most 3 at a time, 1 of one client at a time"), "{limited}");
    assert!(!said(&stack, &["queues", "limit", "billing"]).contains("at most"));

    // A client's key is no operator's.
    let key = stdout(&stack.run(&["keys", "create", "--client", "plain"]));
    let refused = stack.run(&["queues", "list", "--key", key.trim()]);
    assert!(stderr(&refused).contains("--operator"), "{}", stderr(&refused));
    let operator = stdout(&stack.run(&["keys", "create", "--client", "plain", "--operator"]));
    assert!(stack.run(&["queues", "list", "--key", operator.trim()]).status.success());
    let jobs = lines(&stack, &["jobs", "list", "--key", key.trim(), "--json"]);
    assert!(jobs.is_empty(), "{jobs:?}");
}

#[test]
fn dead_jobs_come_back_by_the_clock() {
    let stack = stack();
    // The payload of this one cannot be: it is dead, and dies again.
    let payload = r#"{"per_second": -1}"#;
    let put = ["--cron", "@yearly", "--job", "gristmill.redrive", "--queue", "gristmill", "--payload"];
    lines(&stack, &[&["schedules", "put", "dying"], &put[..], &[payload, "--json"]].concat());
    let run = |name| lines(&stack, &["schedules", "run", name, "--json"])[0]["job_id"].as_str().unwrap().to_owned();
    let dead = run("dying");
    let until = |what: &str, done: &dyn Fn(&Value) -> bool| {
        let since = Instant::now();
        loop {
            let job = lines(&stack, &["jobs", "show", &dead, "--json"]).remove(0);
            if done(&job) {
                return job;
            }
            assert!(since.elapsed() < Duration::from_secs(60), "{what}: {job}");
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    until("dead", &|job| job["state"] == "dead");
    let payload = r#"{"filter": {"error": "per_second"}, "per_second": 10, "max_rounds": 1}"#;
    lines(&stack, &[&["schedules", "put", "again"], &put[..], &[payload, "--json"]].concat());
    run("again");
    let job = until("dead again", &|job| job["redriven"] == 1 && job["state"] == "dead");
    assert_eq!(job["attempts"].as_array().unwrap().len(), 2, "{job}");
    assert!(said(&stack, &["jobs", "list", "--state", "dead"]).contains("per_second"));
    assert_eq!(said(&stack, &["jobs", "discard", "--error", "per_second", "--yes"]), "1 given up\n");
    for name in ["dying", "again"] {
        said(&stack, &["schedules", "delete", name, "--yes"]);
    }
}
