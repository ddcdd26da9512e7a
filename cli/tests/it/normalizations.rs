//! Merchants by command.

use serde_json::Value;

use super::{stack::stack, stderr, stdout};

#[test]
fn a_merchant_is_asked_for_and_a_rule_wins() {
    let stack = stack();
    let said = |args: &[&str]| {
        let output = stack.run(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    let answer = said(&["normalize", "Payment Netflix APRIL***", "--amount", "-12.99", "--currency", "USD"]);
    assert!(answer.starts_with("Netflix  (matched by "), "{answer}");
    assert_eq!(said(&["normalize", "ZQXJ 000 VVKW"]), "n/a: no merchant that we know\n");

    let rule: Value =
        serde_json::from_str(&said(&["normalizations", "add-rule", "contains", "zqxj", "Zack's"])).unwrap();
    let rules = said(&["normalizations", "rules"]);
    assert!(rules.contains("zqxj") && rules.contains("Zack's"), "{rules}");
    let whole: Value = serde_json::from_str(&said(&["normalize", "ZQXJ 000 VVKW", "--json"])).unwrap();
    assert_eq!(whole["merchant"]["name"], "Zack's");
    let id = whole["request_id"].as_str().unwrap();
    let shown: Value = serde_json::from_str(&said(&["normalizations", "show", id])).unwrap();
    assert_eq!(shown, whole);
    let list = said(&["normalizations", "list", "--limit", "1"]);
    assert!(list.lines().count() == 2 && list.contains(id) && list.contains("Zack's"), "{list}");
    assert_eq!(said(&["normalizations", "delete-rule", rule["id"].as_str().unwrap()]), "deleted\n");
    assert!(!said(&["normalizations", "rules", "--json"]).contains("zqxj"));

    let wrong = stack.run(&["normalize", "X", "--currency", "dollars"]);
    assert!(!wrong.status.success() && stderr(&wrong).contains("currency"), "{}", stderr(&wrong));
}
