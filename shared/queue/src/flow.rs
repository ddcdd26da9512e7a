//! Flows: stages of jobs that wait for each other.

use std::collections::{BTreeMap, HashMap, HashSet};

use gristmill_core::{ClientId, string_enum};
use sqlx::PgConnection;

use crate::{Enqueued, GroupId, GroupPolicy, JobId, JobSpec, NewJob, Queue, QueueError, ledger::flows};

/// Stages that one flow has at most.
pub const MAX_STAGES: usize = 500;
/// The longest name of a stage, in characters.
const MAX_NAME: usize = 200;

string_enum! {
    /// What a stage does when one that it waits for has failed, or was cancelled.
    #[derive(Default)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum AfterFailure {
        /// It is cancelled, too, and so is what waits for it. It waits again when the failed one is run again.
        #[default]
        Cancel,
        /// It begins when all of them have ended, however they did.
        Continue,
    }
}

/// Jobs of a flow that begin together: when every stage that they wait for has ended.
#[derive(Debug, Clone)]
pub struct Stage {
    pub(crate) name: String,
    pub(crate) after: Vec<String>,
    pub(crate) after_failure: AfterFailure,
    pub(crate) policy: GroupPolicy,
    pub(crate) jobs: Vec<NewJob>,
}

impl Stage {
    /// Of this name, without jobs, waiting for nothing.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            after: Vec::new(),
            after_failure: AfterFailure::default(),
            policy: GroupPolicy::Continue,
            jobs: Vec::new(),
        }
    }

    /// It waits for these stages of the flow, besides those that it waits for already.
    #[must_use]
    pub fn after<S: Into<String>>(mut self, stages: impl IntoIterator<Item = S>) -> Self {
        self.after.extend(stages.into_iter().map(Into::into));
        self
    }

    /// With this job, too. Its delay counts from when the stage begins. It has no group and no unique key of its own.
    #[must_use]
    pub fn job(mut self, job: NewJob) -> Self {
        self.jobs.push(job);
        self
    }

    /// With these jobs, too.
    #[must_use]
    pub fn jobs(mut self, jobs: impl IntoIterator<Item = NewJob>) -> Self {
        self.jobs.extend(jobs);
        self
    }

    /// What a failed job does to the others of the stage; they go on unless this says something else.
    #[must_use]
    pub fn policy(mut self, policy: GroupPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// What it does when a stage that it waits for has failed; it is cancelled unless this says something else.
    #[must_use]
    pub fn after_failure(mut self, then: AfterFailure) -> Self {
        self.after_failure = then;
        self
    }
}

/// Stages that wait for each other, without a circle: a chain, a fan-out and its join, any such graph. It is a group whose members
/// are its stages: it has a join, can be looked at and cancelled as any group.
///
/// ```
/// use gristmill_queue::{Flow, NewJob, QueueError, Stage};
/// use serde_json::json;
///
/// fn import() -> Result<Flow, QueueError> {
///     let parts = (0..10).map(|part| NewJob::of("import.load", &json!({ "part": part })));
///     Ok(Flow::new()
///         .name("import")
///         .stage(Stage::new("fetch").job(NewJob::of("import.fetch", &json!({ "url": "https://example.com" }))?))
///         .stage(Stage::new("load").after(["fetch"]).jobs(parts.collect::<Result<Vec<_>, _>>()?))
///         .stage(Stage::new("report").after(["load"]).job(NewJob::of("import.report", &json!({}))?)))
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Flow {
    pub(crate) name: Option<String>,
    pub(crate) client_id: Option<ClientId>,
    pub(crate) parent: Option<GroupId>,
    pub(crate) on_complete: Option<JobSpec>,
    pub(crate) on_failure: Option<JobSpec>,
    pub(crate) stages: Vec<Stage>,
}

impl Flow {
    /// Without stages yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One job after the other: stages `1`, `2` and so on, each of one job.
    #[must_use]
    pub fn chain(jobs: impl IntoIterator<Item = NewJob>) -> Self {
        let stage = |(n, job): (usize, NewJob)| {
            let stage = Stage::new((n + 1).to_string()).job(job);
            if n == 0 { stage } else { stage.after([n.to_string()]) }
        };
        Self { stages: jobs.into_iter().enumerate().map(stage).collect(), ..Self::default() }
    }

    /// With this stage, too.
    #[must_use]
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stages.push(stage);
        self
    }

    /// For people.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// On behalf of this client.
    #[must_use]
    pub fn client(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// Inside this group, as one member of it.
    #[must_use]
    pub fn inside(mut self, group: GroupId) -> Self {
        self.parent = Some(group);
        self
    }

    /// The job that comes when all stages have ended and none has failed.
    #[must_use]
    pub fn on_complete(mut self, job: JobSpec) -> Self {
        self.on_complete = Some(job);
        self
    }

    /// The job that comes when all stages have ended and one has failed.
    #[must_use]
    pub fn on_failure(mut self, job: JobSpec) -> Self {
        self.on_failure = Some(job);
        self
    }

    /// How many jobs it has.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.stages.iter().map(|stage| stage.jobs.len()).sum()
    }

    /// For each stage the places of those that it waits for.
    pub(crate) fn check(&self) -> Result<Vec<Vec<usize>>, FlowError> {
        let fault = |stage: &Stage, problem: &'static str| FlowError::Stage { stage: stage.name.clone(), problem };
        if self.stages.is_empty() {
            return Err(FlowError::Empty);
        }
        if self.stages.len() > MAX_STAGES {
            return Err(FlowError::TooMany(self.stages.len()));
        }
        let mut places = HashMap::new();
        for (n, stage) in self.stages.iter().enumerate() {
            if stage.name.is_empty() || stage.name.chars().count() > MAX_NAME || stage.name.contains('\0') {
                return Err(fault(stage, "has no name of 1 to 200 characters without a NUL"));
            }
            if places.insert(stage.name.as_str(), n).is_some() {
                return Err(fault(stage, "is there twice"));
            }
            if stage.jobs.is_empty() {
                return Err(fault(stage, "has no job"));
            }
            if stage.jobs.iter().any(|job| job.group.is_some()) {
                return Err(fault(stage, "has a job with a group: its jobs are the stage's"));
            }
            if stage.jobs.iter().any(|job| job.unique_key.is_some()) {
                return Err(fault(stage, "has a job with a unique key, which might leave it out"));
            }
        }
        let mut after = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let place = |name: &String| {
                places
                    .get(name.as_str())
                    .copied()
                    .ok_or_else(|| FlowError::Unknown { stage: stage.name.clone(), after: name.clone() })
            };
            let places: BTreeMap<usize, ()> =
                stage.after.iter().map(|name| Ok((place(name)?, ()))).collect::<Result<_, FlowError>>()?;
            after.push(places.into_keys().collect::<Vec<usize>>());
        }
        match in_a_circle(&after) {
            Some(n) => Err(FlowError::Circle(self.stages[n].name.clone())),
            None => Ok(after),
        }
    }
}

/// A stage that waits for itself, at whatever distance.
fn in_a_circle(after: &[Vec<usize>]) -> Option<usize> {
    let mut done = HashSet::new();
    loop {
        let before = done.len();
        for (n, after) in after.iter().enumerate() {
            if after.iter().all(|other| done.contains(other)) {
                done.insert(n);
            }
        }
        if done.len() == before {
            return (0..after.len()).find(|n| !done.contains(n));
        }
    }
}

/// Why a flow is not enqueued. Nothing of it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// There is no stage.
    #[error("the flow has no stage")]
    Empty,
    /// There are too many.
    #[error("the flow has {0} stages, and {MAX_STAGES} are the most")]
    TooMany(usize),
    /// A stage is wrong by itself.
    #[error("stage `{stage}` {problem}")]
    Stage {
        /// Its name.
        stage: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It waits for one that is not there.
    #[error("stage `{stage}` waits for `{after}`, which the flow does not have")]
    Unknown {
        /// Its name.
        stage: String,
        /// The other one's.
        after: String,
    },
    /// It waits for itself.
    #[error("stage `{0}` waits for itself, or for one that does")]
    Circle(String),
    /// A job cannot be stored.
    #[error("job {job} of stage `{stage}`: {error}")]
    Job {
        /// The stage's name.
        stage: String,
        /// The place of the job in it, from 0.
        job: usize,
        /// What is wrong.
        #[source]
        error: QueueError,
    },
    /// The ledger failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl From<sqlx::Error> for FlowError {
    fn from(error: sqlx::Error) -> Self {
        Self::Queue(error.into())
    }
}

/// A flow that was enqueued.
#[derive(Debug)]
pub struct EnqueuedFlow {
    pub(crate) id: GroupId,
    pub(crate) stages: Vec<GroupId>,
    pub(crate) jobs: Vec<JobId>,
    pub(crate) enqueued: Enqueued,
}

impl EnqueuedFlow {
    /// The group that it is.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// The groups that its stages are, in their order.
    #[must_use]
    pub fn stages(&self) -> &[GroupId] {
        &self.stages
    }

    /// All its jobs, stage after stage, in their order.
    #[must_use]
    pub fn jobs(&self) -> &[JobId] {
        &self.jobs
    }

    /// Its jobs, to be [pushed](Queue::push) after the commit as far as they wait for nothing. Once: a second call gives none.
    pub fn take_enqueued(&mut self) -> Enqueued {
        std::mem::take(&mut self.enqueued)
    }
}

impl Queue {
    /// Writes a flow into the ledger, with the caller's commit: all of it, or nothing. Push [`EnqueuedFlow::take_enqueued`] after
    /// the commit. What waits is let go by the sweep, milliseconds after the transaction that ends the last stage before it.
    ///
    /// # Errors
    /// Returns what is wrong with it; or an error if Postgres fails. Then the transaction is to be rolled back.
    pub async fn enqueue_flow(&self, conn: &mut PgConnection, flow: &Flow) -> Result<EnqueuedFlow, FlowError> {
        let after = flow.check()?;
        flows::insert(self, conn, flow, &after).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stage(name: &str, after: &[&str]) -> Stage {
        Stage::new(name).after(after.iter().copied()).job(NewJob::of("j", &json!({})).unwrap())
    }

    fn flow(stages: &[(&str, &[&str])]) -> Result<Vec<Vec<usize>>, String> {
        let stages = stages.iter().map(|(name, after)| stage(name, after));
        Flow { stages: stages.collect(), ..Flow::new() }.check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_graph_without_a_circle_is_one() {
        let order = flow(&[("d", &["b", "c", "b"]), ("b", &["a"]), ("c", &["a"]), ("a", &[])]);
        assert_eq!(order, Ok(vec![vec![1, 2], vec![3], vec![3], vec![]]));
        let chain = Flow::chain((0..3).map(|n| NewJob::of("j", &json!(n)).unwrap()));
        assert_eq!(chain.check().unwrap(), [vec![], vec![0], vec![1]]);
        assert_eq!((chain.jobs(), chain.stages[2].name.as_str()), (3, "3"));
    }

    #[test]
    fn what_is_none_is_refused() {
        let told = |stages: &[(&str, &[&str])]| flow(stages).unwrap_err();
        assert_eq!(told(&[]), "the flow has no stage");
        assert_eq!(told(&[("a", &["a"])]), "stage `a` waits for itself, or for one that does");
        assert_eq!(
            told(&[("a", &[]), ("b", &["c"]), ("c", &["b"])]),
            "stage `b` waits for itself, or for one that does"
        );
        assert_eq!(told(&[("a", &["x"])]), "stage `a` waits for `x`, which the flow does not have");
        assert_eq!(told(&[("a", &[]), ("a", &[])]), "stage `a` is there twice");
        assert!(told(&[("", &[])]).contains("has no name"));
        let empty = Flow::new().stage(Stage::new("a")).check().unwrap_err();
        assert_eq!(empty.to_string(), "stage `a` has no job");
        let keyed = NewJob { unique_key: Some("k".into()), ..NewJob::of("j", &json!({})).unwrap() };
        let keyed = Flow::new().stage(Stage::new("a").job(keyed)).check().unwrap_err();
        assert!(keyed.to_string().contains("unique key"), "{keyed}");
        let many = Flow::chain((0..501).map(|n| NewJob::of("j", &json!(n)).unwrap()));
        assert!(matches!(many.check(), Err(FlowError::TooMany(501))));
    }
}
