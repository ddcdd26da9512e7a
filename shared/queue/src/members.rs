//! A join sees what the members of its group came to, and a job of a flow what the stages before it did.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{Content, ContentKind, Context, JobError, JobId, JobState, Queue, QueueError, codec, steps::unreadable};

/// A member of the group that a job is the join of, or a job of a stage before its own.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Member<T> {
    /// The member.
    pub id: JobId,
    /// What it did.
    pub name: String,
    /// How it ended: a member of a group that goes on may be dead or cancelled.
    pub state: JobState,
    /// What it returned, if it has returned something.
    pub result: Option<T>,
}

/// Members that one call reads at most.
const MAX_PAGE_SIZE: u16 = 1_000;

impl Context {
    /// What the members of this join's group came to, in the order in which they were enqueued, after the one called
    /// `after`: at most `limit` of them, and at most a thousand. For a job of a flow these are the jobs of the stages that it waited
    /// for, and for a flow's join all of its jobs. Nothing for any other job. Members are pruned with
    /// their group, so a join that runs in time sees all of them.
    ///
    /// # Errors
    /// Returns an error if a result is not a `T`, or if Postgres fails.
    pub async fn members<T: DeserializeOwned>(
        &self,
        after: Option<JobId>,
        limit: u16,
    ) -> Result<Vec<Member<T>>, JobError> {
        self.members_in(None, after, limit).await
    }

    /// The same of one stage of the job's flow, by its name: one that has ended before, however long.
    ///
    /// # Errors
    /// Returns the errors of [`Context::members`].
    pub async fn members_of<T: DeserializeOwned>(
        &self,
        stage: &str,
        after: Option<JobId>,
        limit: u16,
    ) -> Result<Vec<Member<T>>, JobError> {
        self.members_in(Some(stage), after, limit).await
    }

    async fn members_in<T: DeserializeOwned>(
        &self,
        stage: Option<&str>,
        after: Option<JobId>,
        limit: u16,
    ) -> Result<Vec<Member<T>>, JobError> {
        let members = self.queue.members_before(self.claim.id, stage, after, limit).await;
        let members = members.map_err(|error| match error {
            QueueError::Codec(error) => unreadable(error),
            error => error.into(),
        })?;
        let read = |Member { id, name, state, result }: Member<Box<RawValue>>| {
            let result = result.map(|json| serde_json::from_str(json.get())).transpose();
            match result {
                Ok(result) => Ok(Member { id, name, state, result }),
                Err(error) => {
                    Err(JobError::discard(format!("the result of member {id} is another one than asked for: {error}")))
                }
            }
        };
        members.into_iter().map(read).collect()
    }
}

impl Queue {
    /// What [`Context::members`] tells a job, or, with a stage, [`Context::members_of`]: for who runs it elsewhere.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails, or [`QueueError::Codec`] if a result is encrypted and
    /// cannot be decrypted here.
    pub async fn members_before(
        &self,
        job: JobId,
        stage: Option<&str>,
        after: Option<JobId>,
        limit: u16,
    ) -> Result<Vec<Member<Box<RawValue>>>, QueueError> {
        let rows: Vec<(JobId, String, JobState, Option<String>)> =
            sqlx::query_as(self.schema().sql(include_str!("members.sql")))
                .bind(job)
                .bind(after)
                .bind(i64::from(limit.clamp(1, MAX_PAGE_SIZE)))
                .bind(stage)
                .fetch_all(self.pool())
                .await?;
        let member = |(id, name, state, result): (JobId, String, JobState, Option<String>)| {
            let readable = |json: String| {
                let content = Content::new(&name, ContentKind::Result);
                codec::decode(self.config().codec(), content, &json).map(Cow::into_owned)
            };
            let result = result.map(readable).transpose()?;
            let result = result.map(RawValue::from_string).transpose().map_err(QueueError::Encode)?;
            Ok(Member { id, name, state, result })
        };
        rows.into_iter().map(member).collect()
    }
}
