//! Mails by command, of bills that were made by one.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    stack::{Stack, text},
    stderr, stdout,
};

#[test]
fn the_mails_of_a_run_are_listed_shown_and_saved_and_bounces_told() {
    // Of a shared one the newest mail to an address may be another test's.
    let stack = Stack::start();
    let said = |args: &[&str]| {
        let output = stack.run(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    let file = stack.debts("mailed.csv", 20, "0", "0", 401);
    said(&["upload", text(&file), "--follow"]);
    said(&["bill-run"]);
    let list = ["mail", "list", "--kind", "bill_new", "--state", "sent", "--limit", "3", "--json"];
    let since = Instant::now();
    let mails: Vec<Value> = loop {
        let mails: Vec<Value> = said(&list).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if mails.len() == 3 {
            break mails;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{mails:?}");
        std::thread::sleep(Duration::from_millis(200));
    };
    let (id, to) = (mails[0]["id"].as_str().unwrap(), mails[0]["recipient"].as_str().unwrap());
    let table = said(&["mail", "list", "--to", to, "--limit", "1"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["ID", "STATE", "TO", "SUBJECT"]);
    let subject = mails[0]["subject"].as_str().unwrap();
    assert_eq!((&rows[1][1..3], rows.len()), (&["kept", to][..], 2), "{table}");
    assert!(subject.starts_with(&rows[1][3..5].join(" ")), "{table}");
    let shown: Value = serde_json::from_str(&said(&["mail", "show", id])).unwrap();
    assert_eq!((shown["recipient"].as_str(), shown["kept"].as_bool()), (Some(to), Some(true)));
    let eml = stack.folder.path().join("mail.eml");
    said(&["mail", "eml", id, "--output", text(&eml)]);
    assert!(std::fs::read_to_string(&eml).unwrap().contains("application/pdf"));

    // There is still no server: it is kept once more, as another message.
    assert_eq!(said(&["mail", "resend", id]), format!("sent again to {to}  mail {id}\n"));
    let since = Instant::now();
    let shown = loop {
        let again: Value = serde_json::from_str(&said(&["mail", "show", id])).unwrap();
        if again["state"] == "sent" {
            break again;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{again}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_ne!(shown["message_id"], mails[0]["message_id"]);
    assert!(!stack.run(&["mail", "resend", &uuid::Uuid::nil().to_string()]).status.success());

    let message_id = shown["message_id"].as_str().unwrap();
    let address = to.to_lowercase();
    let told = said(&["mail", "bounce", to, "--hard", "--message-id", message_id, "--reason", "550 no such user"]);
    assert_eq!(told, format!("no more mail goes to {to}  mail {id}\n"));
    assert!(said(&["mail", "suppressions"]).contains(&format!("{address}  550 no such user\n")));
    assert_eq!(said(&["mail", "lift", to]), format!("mails go to {to} again\n"));
    assert!(!said(&["mail", "suppressions"]).contains(&address));
    assert!(!stack.run(&["mail", "lift", to]).status.success());
}

#[test]
fn a_bill_is_withdrawn_by_command() {
    // Of a shared one the newest bill may be another test's.
    let stack = Stack::start();
    let said = |args: &[&str]| {
        let output = stack.run(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    let file = stack.debts("withdrawn.csv", 3, "0", "0", 402);
    said(&["upload", text(&file), "--follow"]);
    said(&["bill-run"]);
    let bill: Value = serde_json::from_str(said(&["bills", "--limit", "1", "--json"]).lines().next().unwrap()).unwrap();
    let id = bill["id"].as_str().unwrap();
    let unasked = stack.run(&["bills", "cancel", id]);
    assert!(!unasked.status.success() && stderr(&unasked).contains("say --yes"), "{}", stderr(&unasked));
    let (number, payer) = (&bill["number"], bill["payer"]["name"].as_str().unwrap());
    for _ in 0..2 {
        let done = said(&["bills", "cancel", id, "--yes"]);
        assert!(done.starts_with(&format!("cancelled: bill {number} of {payer}, ")), "{done}");
    }
    let shown: Value = serde_json::from_str(&said(&["bills", "show", id])).unwrap();
    assert_eq!(shown["status"], "cancelled");
    assert!(said(&["bills", "--status", "cancelled"]).contains(id));
}
