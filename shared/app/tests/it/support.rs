//! Jobs that tests share.

use gristmill::{Settings, prelude::*};

/// Set by nothing: no test reads the environment.
pub(crate) fn app() -> App {
    App::new(quiet())
}

pub(crate) fn quiet() -> Settings {
    let mut settings = Settings::default();
    settings.telemetry = None;
    settings.label = "test".into();
    settings
}

#[derive(Debug, Clone, Serialize, Deserialize, Job)]
#[job(max_attempts = 3)]
pub(crate) struct Add {
    pub(crate) a: i64,
    pub(crate) b: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, Job)]
#[job(max_attempts = 2, timeout = "10s")]
pub(crate) struct End {
    pub(crate) how: String,
}

impl End {
    pub(crate) fn by(how: &str) -> Self {
        Self { how: how.to_owned() }
    }
}

pub(crate) async fn add(job: Add) -> Result<i64, JobError> {
    Ok(job.a + job.b)
}
