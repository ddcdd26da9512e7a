//! Groups: jobs with one join.

use gristmill_core::ClientId;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{
    group_completion::{self, Counts},
    stop,
};
use crate::{Enqueued, GroupId, Job, QueueError, Schema, codec::Intake};

/// What a failed member does to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum GroupPolicy {
    /// Every member runs. At the end comes `on_failure` if a member failed and there is such a job,
    /// otherwise `on_complete`.
    Continue,
    /// The first final failure cancels the members that have not finished; when the last one has
    /// stopped comes `on_failure`.
    FailFast,
}

/// The longest key that fits into an index of Postgres, with room to spare; in bytes.
const MAX_KEY: usize = 2_000;

/// A job to be enqueued later, by the statement that finishes a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobSpec {
    /// What it does.
    pub(crate) name: String,
    /// Where it waits; `default` unless given.
    #[serde(default = "default_queue")]
    pub(crate) queue: String,
    /// 0 is the most urgent, 9 the least; 4 unless given.
    #[serde(default = "default_priority")]
    pub(crate) priority: u8,
    /// Failed attempts until it is dead; 8 unless given.
    #[serde(default = "default_max_attempts")]
    pub(crate) max_attempts: u16,
    /// What it is given.
    pub(crate) payload: serde_json::Value,
    /// The shape of the payload.
    #[serde(default = "first_version")]
    version: u16,
    /// How long it is kept when it has finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retain_seconds: Option<i32>,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<i32>))]
    client_id: Option<ClientId>,
    /// The W3C trace that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_parent: Option<String>,
    /// Jobs with this key run one at a time, in the order in which they were enqueued: this one when it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 1_000))]
    order_key: Option<String>,
}

fn default_queue() -> String {
    "default".into()
}

fn default_priority() -> u8 {
    4
}

fn default_max_attempts() -> u16 {
    8
}

fn first_version() -> u16 {
    1
}

impl JobSpec {
    /// What it does.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is given.
    #[must_use]
    pub fn payload(&self) -> &serde_json::Value {
        &self.payload
    }

    /// A job that is known by its name, given this.
    #[must_use]
    pub fn new(name: impl Into<String>, payload: serde_json::Value) -> Self {
        Self {
            name: name.into(),
            queue: default_queue(),
            priority: default_priority(),
            max_attempts: default_max_attempts(),
            payload,
            version: first_version(),
            retain_seconds: None,
            client_id: None,
            trace_parent: None,
            order_key: None,
        }
    }

    /// In this queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = queue.into();
        self
    }

    /// With this priority: 0 is the most urgent, 9 the least.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority.min(9);
        self
    }

    /// With so many attempts.
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u16) -> Self {
        self.max_attempts = max_attempts.max(1);
        self
    }

    /// In strict order with other jobs of this key, as [`Options::order_key`](crate::Options::order_key): its place is the one that
    /// it has when it comes.
    #[must_use]
    pub fn order_key(mut self, key: impl Into<String>) -> Self {
        self.order_key = Some(key.into());
        self
    }

    /// The given job with its own consts.
    ///
    /// # Errors
    /// Returns an error if the payload does not serialize.
    pub fn of<J: Job>(job: &J) -> Result<Self, QueueError> {
        Ok(Self {
            name: J::NAME.into(),
            queue: J::QUEUE.into(),
            priority: J::PRIORITY.min(9),
            max_attempts: J::MAX_ATTEMPTS.max(1),
            payload: serde_json::to_value(job).map_err(QueueError::Encode)?,
            version: J::VERSION,
            retain_seconds: crate::job::retain_seconds::<J>(),
            client_id: None,
            trace_parent: None,
            order_key: None,
        })
    }

    /// As it is kept, if the ledger can hold it.
    pub(crate) fn kept(&self, intake: Intake<'_>) -> Result<Self, QueueError> {
        self.check(intake)?;
        let mut spec = self.clone();
        if intake.codec.is_some() {
            let payload = intake.encode(&self.name, self.payload.to_string())?;
            spec.payload = serde_json::from_str(&payload).map_err(QueueError::Encode)?;
        }
        Ok(spec)
    }

    /// The ledger can hold it.
    pub(crate) fn check(&self, intake: Intake<'_>) -> Result<(), QueueError> {
        const ORDER_KEY: &str = "the order key";
        let key = self.order_key.as_deref().unwrap_or_default();
        for (what, text) in [("the job's name", &*self.name), ("the job's queue", &*self.queue), (ORDER_KEY, key)] {
            if text.contains('\0') {
                return Err(QueueError::Nul(what));
            }
        }
        // It is enqueued by a statement for many, which it must not make fail.
        if key.len() > MAX_KEY {
            return Err(QueueError::LongKey(ORDER_KEY));
        }
        intake.check(&self.name, &self.payload.to_string())
    }

    /// On behalf of this client.
    #[must_use]
    pub fn client(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// With this W3C `traceparent`; a join without one follows what creates its group, a tick begins a trace of its own.
    #[must_use]
    pub fn trace_parent(mut self, trace_parent: impl Into<String>) -> Self {
        self.trace_parent = Some(trace_parent.into());
        self
    }
}

/// A group to be created: `NewGroup { name: Some("import".into()), ..NewGroup::new(GroupPolicy::Continue) }`.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// What a failed member does.
    pub policy: GroupPolicy,
    /// The join.
    pub on_complete: Option<JobSpec>,
    /// The join when a member failed.
    pub on_failure: Option<JobSpec>,
    /// The group it is nested in, as one member: it has completed, failed or been cancelled there when it has here.
    pub parent: Option<GroupId>,
    /// For people.
    pub name: Option<String>,
    /// On behalf of this client.
    pub client_id: Option<ClientId>,
}

impl NewGroup {
    /// A group of its own without joins.
    #[must_use]
    pub fn new(policy: GroupPolicy) -> Self {
        Self { policy, on_complete: None, on_failure: None, parent: None, name: None, client_id: None }
    }
}

/// How far a group is; its counters are kept up to date by every member's end, so this costs one row.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct GroupProgress {
    /// The group.
    pub id: GroupId,
    /// For people.
    pub name: Option<String>,
    /// On whose behalf it is.
    pub client_id: Option<ClientId>,
    /// The group it is nested in.
    pub parent: Option<GroupId>,
    /// `continue` or `fail_fast`.
    pub policy: String,
    /// `open`, `failing` (the last ones are stopping), `completed`, `failed` or `cancelled`.
    pub state: String,
    /// Whether it takes no more members.
    pub sealed: bool,
    /// Members so far, nested groups among them.
    pub total: i64,
    /// Members that succeeded.
    pub completed: i64,
    /// Members that failed for good.
    pub failed: i64,
    /// Members that were cancelled.
    pub cancelled: i64,
    /// How often it has ended: more than once when members were run again.
    pub completions: i32,
}

impl GroupProgress {
    /// Members that have not ended.
    #[must_use]
    pub fn unfinished(&self) -> i64 {
        self.total - self.completed - self.failed - self.cancelled
    }
}

pub(crate) async fn progress(
    schema: Schema,
    on: impl PgExecutor<'_>,
    group: GroupId,
) -> Result<Option<GroupProgress>, sqlx::Error> {
    sqlx::query_as(schema.sql("select id, name, client_id, parent_id as parent, policy, state, sealed, total, completed, failed, cancelled, completions
         from gristmill.groups where id = $1"))
    .bind(group)
    .fetch_optional(on)
    .await
}

pub(crate) async fn create(
    schema: Schema,
    conn: &mut PgConnection,
    new: &NewGroup,
    intake: Intake<'_>,
) -> Result<GroupId, QueueError> {
    let kept = |join: &Option<JobSpec>| join.as_ref().map(|join| join.kept(intake)).transpose();
    let (on_complete, on_failure) = (kept(&new.on_complete)?, kept(&new.on_failure)?);
    if new.name.as_ref().is_some_and(|name| name.contains('\0')) {
        return Err(QueueError::Nul("the group's name"));
    }
    let id = GroupId::from(Uuid::now_v7());
    let root = match new.parent {
        Some(parent) => Some(join_parent(schema, conn, parent).await?),
        None => None,
    };
    // The join follows what made the group, and so stands in its trace beside the members.
    let here = crate::trace::current();
    let join = |spec: Option<JobSpec>| {
        let mut spec = spec?;
        spec.trace_parent = spec.trace_parent.or_else(|| here.clone());
        Some(sqlx::types::Json(spec))
    };
    sqlx::query(schema.sql(
        "insert into gristmill.groups (id, policy, on_complete, on_failure, parent_id, root_id, name, client_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    ))
    .bind(id)
    .bind(<&str>::from(new.policy))
    .bind(join(on_complete))
    .bind(join(on_failure))
    .bind(new.parent)
    .bind(root)
    .bind(&new.name)
    .bind(new.client_id)
    .execute(conn)
    .await?;
    Ok(id)
}

/// One more member for `parent`, if it takes any. Returns the outermost group.
async fn join_parent(schema: Schema, conn: &mut PgConnection, parent: GroupId) -> Result<GroupId, QueueError> {
    group_completion::lock(schema, conn, &[parent]).await?;
    sqlx::query_scalar(schema.sql("update gristmill.groups set total = total + 1 where id = $1 and state = 'open' and not sealed returning coalesce(root_id, id)"))
    .bind(parent)
    .fetch_optional(conn)
    .await?
    .ok_or(QueueError::GroupClosed(parent))
}

pub(crate) async fn seal(schema: Schema, conn: &mut PgConnection, group: GroupId) -> Result<Enqueued, QueueError> {
    group_completion::lock(schema, conn, &[group]).await?;
    sqlx::query(schema.sql("update gristmill.groups set sealed = true where id = $1 and state = 'open'"))
        .bind(group)
        .execute(&mut *conn)
        .await?;
    group_completion::close_sealed(schema, conn, group).await
}

/// The group completes without its join, if the caller's member is the last one.
pub(crate) async fn take_join(schema: Schema, conn: &mut PgConnection, group: GroupId) -> Result<bool, sqlx::Error> {
    group_completion::lock(schema, conn, &[group]).await?;
    let taken = sqlx::query(schema.sql(
        "update gristmill.groups set on_complete = null
         where id = $1 and state = 'open' and sealed and failed = 0 and total = completed + cancelled + 1",
    ))
    .bind(group)
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() > 0)
}

/// Cancels the group and every member that no transaction holds at this moment. The group comes first:
/// who holds a member asks for the group's row before it commits, and then sees what happened.
pub(crate) async fn cancel(schema: Schema, conn: &mut PgConnection, group: GroupId) -> Result<u64, QueueError> {
    group_completion::lock(schema, conn, &[group]).await?;
    let open: Option<Option<GroupId>> = sqlx::query_scalar(schema.sql("update gristmill.groups set sealed = true, state = 'cancelled', finished_at = now(), completions = completions + 1
         where id = $1 and finished_at is null returning parent_id"))
    .bind(group)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(parent) = open else { return Ok(0) };
    let cancelled = stop::members(schema, conn, &[group]).await?;
    if let Some(parent) = parent {
        let mut counts = Counts::default();
        counts.add(parent, "cancelled", 1);
        // A join of the groups around it is pushed by the sweep.
        let _swept = group_completion::count(schema, conn, counts).await?;
    }
    Ok(cancelled)
}
