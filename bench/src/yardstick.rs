//! The yardstick Y: `psql \copy` of the CSV into a table with typed columns and the same key.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::stack::Stack;

const TABLE: &str = "drop table if exists yardstick;
    create table yardstick (
        name text not null, government_id text not null, email text not null, amount numeric(14, 2) not null,
        due_date date not null, debt_id uuid primary key
    );
    checkpoint";

/// Loads the file into an empty table and says how long `psql` took.
pub(crate) async fn run(stack: &Stack, file: &Path) -> anyhow::Result<Duration> {
    for statement in TABLE.split(';') {
        sqlx::raw_sql(statement).execute(&stack.pool).await?;
    }
    let copy = format!("\\copy yardstick from '{}' with (format csv, header)", file.canonicalize()?.display());
    let since = Instant::now();
    let done = Command::new("psql").arg(&stack.database_url).args(["-qc", &copy]).status()?;
    let took = since.elapsed();
    ensure!(done.success(), "psql failed");
    sqlx::raw_sql("drop table yardstick").execute(&stack.pool).await?;
    Ok(took)
}
