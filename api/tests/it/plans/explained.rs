//! What Postgres says of each statement that it has run.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use gristmill_platform::testing::Stack;
use serde_json::Value;

/// Reads the server's log for the plans of this stack's statements.
pub(super) struct Explained {
    log: PathBuf,
    read: usize,
    /// Statements that were looked at.
    pub(super) seen: usize,
}

impl Explained {
    /// Has every statement of connections made from now on explained.
    pub(super) async fn of(stack: &Stack) -> Self {
        let database: String =
            sqlx::query_scalar("select current_database()").fetch_one(&stack.pool).await.expect("Postgres answers");
        // `load` makes its settings known; it is preloaded last, so that it never runs without them.
        let mut connection = stack.pool.acquire().await.expect("Postgres answers");
        sqlx::query("load 'auto_explain'").execute(&mut *connection).await.expect("Postgres has its contrib modules");
        for setting in [
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_analyze = on",
            "auto_explain.log_timing = off",
            "auto_explain.log_format = 'json'",
            "session_preload_libraries = 'auto_explain'",
        ] {
            let sql = format!("alter database \"{database}\" set {setting}");
            sqlx::query(&sql).execute(&mut *connection).await.expect("the setting is known");
        }
        drop(connection);
        let log = stack.dir.parent().expect("among the engines' data").join("postgres.log");
        let read = fs::read(&log).expect("the server's log").len();
        Self { log, read, seen: 0 }
    }

    /// What ran until now is not looked at.
    pub(super) fn forget(&mut self) {
        self.read = fs::read(&self.log).expect("the server's log").len();
    }

    /// The statements since the last call that looked at more rows than so many.
    pub(super) fn beyond(&mut self, rows: f64, what: &str) -> Vec<String> {
        let plans = self.new_plans();
        self.seen += plans.len();
        let too_many = plans.into_iter().filter(|plan| visited(&plan["Plan"]) > rows);
        let told = too_many.map(|plan| {
            let (visited, sql) = (visited(&plan["Plan"]), plan["Query Text"].as_str().unwrap_or_default());
            format!("{what}: {visited} rows, where {rows} are enough\n{sql}\n{:#}", plan["Plan"])
        });
        told.collect()
    }

    /// The plans since the last call. While the server writes one it is waited for.
    fn new_plans(&mut self) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let log = fs::read(&self.log).expect("the server's log");
            match plans(&String::from_utf8_lossy(&log[self.read..])) {
                Ok(plans) => {
                    self.read = log.len();
                    return plans;
                }
                Err(half) => assert!(begun.elapsed() < Duration::from_secs(30), "{half}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The plans in a log: each is a `plan:` and lines that are set in. An error: one that is not whole.
fn plans(log: &str) -> Result<Vec<Value>, String> {
    let mut plans = Vec::new();
    let mut lines = log.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if !line.ends_with('\n') {
            return Err(line.to_owned());
        }
        if !line.ends_with("  plan:\n") {
            continue;
        }
        let mut json = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
            json.push_str(line);
        }
        plans.push(serde_json::from_str(&json).map_err(|error| format!("{error}: {json}"))?);
    }
    Ok(plans)
}

/// The rows that a plan's nodes have come by, those that they dropped too.
fn visited(node: &Value) -> f64 {
    let number = |name: &str| node[name].as_f64().unwrap_or(0.0);
    let each =
        ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck"];
    let own: f64 = each.map(number).iter().sum::<f64>() * number("Actual Loops");
    let below: f64 = node["Plans"].as_array().into_iter().flatten().map(visited).sum();
    own + below
}
