//! What each kind brings about is registered, and happens with the upload or not at all.

use std::collections::{BTreeSet, HashSet};

use gristmill_kinds::{HOOKS, hooks, owner};
use gristmill_pipelines::Kind;
use gristmill_queue::{Enqueued, Queue, QueueError};
use gristmill_uploads::{HookFuture, Hooks, KindHooks, State, UploadRef, UploadService};
use sqlx::PgConnection;

use crate::harness::{Harness, file};

#[tokio::test(flavor = "multi_thread")]
async fn every_job_that_an_owner_needs_has_a_body() {
    let harness = Harness::new(1_000).await;
    let bodies: BTreeSet<&str> = harness.worker(1).jobs().collect();
    let owned: Vec<&str> = owner::of_uploads().chain(owner::of_runs()).collect();
    let without: Vec<_> = owned.iter().filter(|name| !bodies.contains(*name)).collect();
    assert!(without.is_empty(), "{without:?} are no jobs that a worker knows, of {bodies:?}");
    assert_eq!(owned.iter().collect::<HashSet<_>>().len(), owned.len(), "one owner each: {owned:?}");
    // The other way round: what an upload's life is made of is protected.
    let open: Vec<_> = bodies.iter().filter(|name| name.starts_with("uploads.") && !owned.contains(name)).collect();
    assert!(open.is_empty(), "anybody may end {open:?} behind their upload's back");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_of_the_product_is_listed() {
    let harness = Harness::new(1_000).await;
    let worker = harness.worker(1);
    let own = worker.jobs().filter(|name| !name.starts_with("gristmill."));
    assert_eq!(own.collect::<BTreeSet<_>>(), BTreeSet::from(gristmill_kinds::JOBS), "those that are never encrypted");
}

#[test]
fn every_kind_is_registered_with_its_own_jobs() {
    let of = |kind: Kind| hooks(kind).owned_jobs().to_vec();
    let all: Vec<&str> = Kind::ALL.iter().flat_map(|kind| of(*kind)).collect();
    let protected: Vec<&str> = owner::of_uploads().collect();
    assert!(all.iter().all(|name| protected.contains(name)), "{all:?} against {protected:?}");
    assert_eq!(of(Kind::Claims), ["claims.pay_upload", "claims.void_upload"]);
}

/// A kind whose consequences cannot be taken back.
struct Refusing;

impl KindHooks for Refusing {
    fn on_undo<'a>(&'a self, conn: &'a mut PgConnection, _: &'a Queue, upload: UploadRef) -> HookFuture<'a, Enqueued> {
        Box::pin(async move {
            sqlx::query("update uploads set detail = 'half undone' where id = $1")
                .bind(upload.id)
                .execute(conn)
                .await?;
            Err(QueueError::from(sqlx::Error::RowNotFound))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_undone_with_what_it_brought_about_or_not_at_all() {
    let harness = Harness::new(1_000).await;
    let done = harness.run_file(file(0..10)).await;
    let refusing = Hooks { of: |_| &Refusing, ..HOOKS };
    let uploads = UploadService { hooks: refusing, ..harness.uploads.clone() };
    uploads.remove(harness.client_id, done.id).await.unwrap_err();
    let kept = harness.find(done.id).await;
    assert_eq!((kept.state, kept.detail), (State::Completed, None));
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from debts").await, 10);
    harness.uploads.remove(harness.client_id, done.id).await.unwrap();
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from debts").await, 0, "by the right hooks");
}
