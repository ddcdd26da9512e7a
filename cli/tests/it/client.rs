//! The client subcommands against a running stack.

use std::{io::Write, process::Stdio};

use serde_json::Value;

use super::{
    gristmill,
    stack::{stack, text},
    stderr, stdout,
};

fn upload_json(output: &std::process::Output) -> Value {
    let text = stdout(output);
    let last = text.lines().last().unwrap_or_else(|| panic!("nothing on stdout: {}", stderr(output)));
    serde_json::from_str(last).unwrap()
}

#[test]
fn a_file_and_the_same_file_again() {
    let stack = stack();
    let file = stack.debts("again.csv", 20_000, "0", "0", 101);
    let first = stack.run(&["upload", text(&file), "--follow"]);
    assert!(first.status.success(), "{}", stderr(&first));
    let said = stdout(&first);
    assert!(
        said.starts_with("✓ 20,000 rows in ")
            && said.contains(" rows/s): 20,000 accepted, 0 rejected, 0 duplicate  id "),
        "{said}"
    );

    let same = stack.run(&["upload", text(&file), "--follow"]);
    assert!(same.status.success());
    let id = said.trim_end().rsplit(' ').next().unwrap();
    let words = stdout(&same);
    assert!(
        words.contains("the same file was completed before as again.csv")
            && words.contains(id)
            && words.contains("--force"),
        "{words}"
    );
    let same = upload_json(&stack.run(&["upload", text(&file), "--json", "--no-follow"]));
    assert_eq!((same["same"].as_bool(), same["id"].as_str()), (Some(true), Some(id)));

    let forced = stack.run(&["upload", text(&file), "--follow", "--force", "--json"]);
    let upload = upload_json(&forced);
    assert_eq!(upload["state"], "completed");
    assert_eq!(upload["rows"], serde_json::json!({"read": 20_000, "accepted": 0, "rejected": 0, "duplicate": 20_000}));
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_command_without_a_word() {
    let stack = stack();
    for command in [["queues", "list"], ["keys", "list"]] {
        // It is gone before the command begins.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = gristmill(stack.folder.path()).args(command).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(141), ""), "{command:?}");
    }
}

#[test]
fn a_dirty_file_by_a_pipe_and_what_is_known_of_it() {
    let stack = stack();
    let file = stack.debts("dirty.csv", 8_000, "0.01", "0.01", 102);
    let mut child = gristmill(stack.folder.path())
        .args(["upload", "-", "--follow", "--policy", "partial"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(&file).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stdout(&output);
    let id = said.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(said.lines().filter(|line| line.starts_with("  line ")).count(), 3, "{said}");
    assert!(said.contains(&format!("more: gristmill rejects {id} > rejects.csv")), "{said}");

    let uploads = stack.run(&["uploads", "--json", "--limit", "1000"]);
    let listed: Vec<Value> = stdout(&uploads).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let upload = listed.iter().find(|upload| upload["id"] == id.as_str()).expect("it is listed");
    let refused = upload["rows"]["rejected"].as_u64().unwrap() + upload["rows"]["duplicate"].as_u64().unwrap();
    let table = stdout(&stack.run(&["uploads", "--state", "completed", "--kind", "debts"]));
    assert!(table.starts_with("ID ") && table.contains(&id), "{table}");

    let json = stdout(&stack.run(&["rejects", &id, "--json"]));
    assert_eq!(json.lines().count() as u64, refused);
    let csv = stack.run(&["rejects", &id]).stdout;
    assert!(csv.starts_with(b"line,column,reason,message,name,governmentId"));
    assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count() as u64, refused + 1);

    let receipt = stack.run(&["receipt", &id, "--chunks"]);
    let words = stdout(&receipt);
    assert!(receipt.status.success(), "{words}{}", stderr(&receipt));
    assert!(words.contains("8,000 read = ") && words.contains("✓ it adds up") && words.contains("SHA256"), "{words}");
    let json: Value = serde_json::from_str(&stdout(&stack.run(&["receipt", &id, "--json"]))).unwrap();
    assert_eq!(json["rows"], upload["rows"]);

    let watched = stack.run(&["watch", &id]);
    assert!(watched.status.success() && stdout(&watched).starts_with("✓ 8,000 rows"), "{watched:?}");
}

#[test]
fn a_compressed_file_is_sent_as_it_is() {
    let stack = stack();
    let file = stack.debts("packed.csv", 3_000, "0", "0", 103);
    let packed = std::process::Command::new("gzip").arg("-k").arg(&file).status();
    assert!(packed.unwrap().success());
    let output = stack.run(&["upload", &format!("{}.gz", text(&file)), "--follow", "--json"]);
    let upload = upload_json(&output);
    assert_eq!(
        (&upload["rows"]["accepted"], &upload["filename"]),
        (&3_000.into(), &"packed.csv.gz".into()),
        "{upload}"
    );
    assert_eq!(upload["bytes"], std::fs::metadata(&file).unwrap().len());
}

/// What `tar` and tapes leave behind a compressed file.
#[test]
fn zeros_behind_a_compressed_file_are_padding() {
    let stack = stack();
    let file = stack.debts("padded.csv", 3_000, "0", "0", 109);
    let packed = std::process::Command::new("gzip").arg("-k").arg(&file).status();
    assert!(packed.unwrap().success());
    let packed = format!("{}.gz", text(&file));
    let mut end = std::fs::OpenOptions::new().append(true).open(&packed).unwrap();
    end.write_all(&[0; 10_240]).unwrap();
    let upload = upload_json(&stack.run(&["upload", &packed, "--follow", "--json"]));
    assert_eq!((&upload["state"], &upload["rows"]["accepted"]), (&"completed".into(), &3_000.into()), "{upload}");
    assert_eq!(upload["bytes"], std::fs::metadata(&file).unwrap().len());
    // Anything else is damage, and nothing of the file stays.
    end.write_all(b"x").unwrap();
    let output = stack.run(&["upload", &packed, "--follow", "--json", "--force"]);
    assert!(!output.status.success() && stderr(&output).contains("damaged"), "{}", stderr(&output));
}

#[test]
fn an_atomic_file_with_a_bad_row_fails() {
    let stack = stack();
    let file = stack.debts("atomic.csv", 500, "0", "0", 104);
    let mut lines = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
    lines.write_all(b"Ana,1,ana@example.com,ten,2024-01-19,00000000-0000-4000-8000-000000000001\n").unwrap();
    let output = stack.run(&["upload", text(&file), "--policy", "atomic", "--follow"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("✗ failed (rejected_rows)"), "{}", stdout(&output));
}

#[test]
fn undoing_is_asked_for() {
    let stack = stack();
    let file = stack.debts("undo.csv", 1_000, "0", "0", 105);
    let upload = upload_json(&stack.run(&["upload", text(&file), "--follow", "--json"]));
    let id = upload["id"].as_str().unwrap();
    let asked = stack.run(&["cancel", id]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(
        stderr(&asked).contains("removes its 1,000 rows") && stderr(&asked).contains("--yes"),
        "{}",
        stderr(&asked)
    );
    let undone = stack.run(&["cancel", id, "--yes"]);
    assert!(undone.status.success() && stdout(&undone).starts_with("undone: its 1,000 rows"), "{undone:?}");

    let receipt = stack.run(&["receipt", id]);
    assert_eq!(receipt.status.code(), Some(1));
    assert!(stderr(&receipt).contains("(409)"), "{}", stderr(&receipt));
    assert_eq!(stack.run(&["cancel", id, "--yes"]).status.code(), Some(1));
    let again = upload_json(&stack.run(&["upload", text(&file), "--follow", "--json"]));
    assert_eq!(again["rows"]["accepted"], 1_000, "an undone file is new");
}

#[test]
fn without_following_it_is_accepted() {
    let stack = stack();
    let file = stack.debts("accepted.csv", 2_000, "0", "0", 106);
    let output = stack.run(&["upload", text(&file), "--no-follow"]);
    assert!(output.status.success());
    let said = stdout(&output);
    let id = said.trim_end().rsplit(' ').next().unwrap();
    assert!(said.starts_with("accepted: ") && said.contains(&format!("gristmill watch {id}")), "{said}");
    let watched = stack.run(&["watch", id, "--json"]);
    assert_eq!(upload_json(&watched)["state"], "completed");
}

#[test]
fn what_the_server_refuses_is_told() {
    let stack = stack();
    let id = "0195b3a4-7c1e-7000-8000-2f6c3f1a9d55";
    let unknown = stack.run(&["receipt", id]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains(&format!("There is no upload '{id}'")), "{}", stderr(&unknown));

    let path = stack.folder.path().join("wrong.csv");
    std::fs::write(&path, "name,email\nx,y\n").unwrap();
    let wrong = stack.run(&["upload", text(&path)]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = stderr(&wrong);
    assert!(said.contains("The file's header is wrong (422)") && said.contains("debtId"), "{said}");

    let file = stack.debts("key.csv", 10, "0", "0", 107);
    let key = stack.run(&["upload", text(&file), "--key", "gm_wrong"]);
    assert_eq!(key.status.code(), Some(1));
    let said = stderr(&key);
    assert!(said.contains("the key was refused (it is from --key or GRISTMILL_KEY)") && said.contains("do:"), "{said}");
    // Away from the data folder there is no key.
    let elsewhere = tempfile::tempdir().unwrap();
    let none = gristmill(elsewhere.path()).args(["uploads", "--api", &stack.api]).output().unwrap();
    assert!(stderr(&none).contains("none was found"), "{}", stderr(&none));
    // In a folder below it there is.
    let below = stack.folder.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    assert!(gristmill(&below).arg("uploads").output().unwrap().status.success());
}

#[test]
fn ctrl_c_ends_it_at_once_though_the_pipe_is_open() {
    let stack = stack();
    // A client of its own: other tests send files too.
    let key = stdout(&stack.run(&["keys", "create", "--client", "ctrl-c"]));
    let key = key.trim();
    let mut child = gristmill(stack.folder.path())
        .args(["upload", "-", "--follow", "--key", key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"name,governmentId,email,debtAmount,debtDueDate,debtId\n").unwrap();
    // It listens for the signal before it sends.
    let since = std::time::Instant::now();
    while !stdout(&stack.run(&["uploads", "--state", "receiving", "--key", key])).contains("receiving") {
        assert!(since.elapsed() < std::time::Duration::from_secs(60), "the upload does not begin");
    }
    let signal = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(signal.unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(pipe);
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("stopped before the file had arrived"), "{}", stderr(&output));
}

#[test]
fn health_is_an_exit_code() {
    let stack = stack();
    assert!(stack.run(&["health", &format!("{}/healthz", stack.api)]).status.success());
    assert_eq!(stack.run(&["health", "http://127.0.0.1:1/healthz"]).status.code(), Some(1));
    assert_eq!(stack.run(&["health", &format!("{}/nothing", stack.api)]).status.code(), Some(1));
}
