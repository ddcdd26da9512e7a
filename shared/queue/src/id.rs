//! Ids of jobs and of groups, in order of time.

use uuid::Uuid;

gristmill_core::id! {
    /// A job.
    ///
    /// A group's id is refused where a job's is wanted, and the other way round:
    ///
    /// ```compile_fail,E0308
    /// use gristmill_queue::{GroupId, JobFilter};
    ///
    /// fn only(group: GroupId) -> JobFilter {
    ///     JobFilter { ids: vec![group], ..JobFilter::default() }
    /// }
    /// ```
    ///
    /// ```
    /// use gristmill_queue::{GroupId, JobFilter};
    ///
    /// fn only(group: GroupId) -> JobFilter {
    ///     JobFilter { group: Some(group), ..JobFilter::default() }
    /// }
    /// ```
    pub struct JobId(Uuid);
}

gristmill_core::id! {
    /// A group of jobs.
    pub struct GroupId(Uuid);
}
