//! The roles and what looks after them, where something is missing: they say what to do.

use super::{gristmill, stderr, stdout};

fn run(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = gristmill(folder.path()).args(args).envs(env.iter().copied()).output().unwrap();
    (output.status.code(), stdout(&output), stderr(&output))
}

#[test]
fn wrong_usage_is_answered_with_the_right_one() {
    let (code, _, said) = run(&[], &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("Usage: gristmill <COMMAND>"), "{said}");
    let (code, _, said) = run(&["upp"], &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("similar") && said.contains("'up'"), "{said}");
    let (code, _, said) = run(&["worker", "--worker-grace", "soon"], &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("not a duration such as"), "{said}");
    let (code, _, said) = run(&["api"], &[("GRISTMILL_CHUNK_BYTES", "big")]);
    assert_eq!(code, Some(2));
    assert!(said.contains("not a number of bytes such as"), "{said}");
}

#[test]
fn a_role_without_its_database_says_what_to_set() {
    for role in ["api", "worker", "scheduler", "monitor", "migrate"] {
        let (code, _, said) = run(&[role], &[("REDIS_URL", "redis://127.0.0.1:1"), ("GRISTMILL_ADDR", "127.0.0.1:0")]);
        assert_eq!(code, Some(1), "{role}");
        assert!(said.contains("error: ") && said.contains("no database was given"), "{role}: {said}");
        assert!(said.contains("do:    set DATABASE_URL"), "{role}: {said}");
    }
}

#[test]
fn a_redis_that_cannot_be_connected_to_is_refused_in_words() {
    for (url, what, fix) in [
        ("rediss://:hush@127.0.0.1:1/", "REDIS_URL asks for TLS (rediss://), which is not built in", "stunnel"),
        ("redis+sentinel://:hush@127.0.0.1:1/primary", "REDIS_URL asks Sentinels", "the address of the primary"),
        ("postgres://u:hush@127.0.0.1:1/d", "REDIS_URL is not a URL of Redis", "correct REDIS_URL"),
    ] {
        let env =
            [("REDIS_URL", url), ("DATABASE_URL", "postgres://u:p@127.0.0.1:1/d"), ("GRISTMILL_ADDR", "127.0.0.1:0")];
        for role in ["api", "worker", "scheduler", "monitor", "up"] {
            let (code, _, said) = run(&[role], &env);
            assert_eq!(code, Some(1), "{role}: {said}");
            assert!(said.contains(what) && said.contains(fix) && !said.contains("hush"), "{role}: {said}");
        }
        let (code, said, _) = run(&["doctor"], &env);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(what) && said.contains(fix) && !said.contains("hush"), "{said}");
    }
}

#[test]
fn up_wants_both_urls_or_none() {
    let (code, _, said) = run(&["up", "--addr", "127.0.0.1:0"], &[("DATABASE_URL", "postgres://u:p@127.0.0.1:1/d")]);
    assert_eq!(code, Some(1));
    assert!(said.contains("only one of DATABASE_URL and REDIS_URL is set"), "{said}");
    assert!(said.contains("do:    set both"), "{said}");
}

#[test]
fn up_names_a_port_that_is_taken() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let (code, _, said) = run(&["up", "--addr", &addr], &[]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("error: cannot listen on {addr}")) && said.contains("do:") && said.contains("--addr"),
        "{said}"
    );
}

#[test]
fn the_doctor_fails_when_nothing_answers() {
    let urls = [
        ("DATABASE_URL", "postgres://u:hush@127.0.0.1:1/d"),
        ("REDIS_URL", "redis://:hush@127.0.0.1:1"),
        ("GRISTMILL_DATABASE_TIMEOUT", "100ms"),
    ];
    let (code, told, said) = run(&["doctor"], &urls);
    assert_eq!(code, Some(1), "{said}");
    assert!(told.contains("fail  cannot reach Postgres at 127.0.0.1:1") && told.contains("do: start Redis"), "{told}");
    assert!(!told.contains("hush"), "{told}");
    let (code, told, _) = run(&["doctor", "--json"], &urls);
    assert_eq!(code, Some(1));
    let findings: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(findings[0]["level"], "fail");
    assert_eq!(findings[0]["check"], "postgres.reachable");
}
