//! Groups that grow, are sealed at once or later, fail, fail fast, or are cancelled.

use std::time::Duration;

use gristmill_queue::{GroupId, GroupPolicy, JobSpec, NewGroup, Options, Queue, QueueError};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use super::{
    Workload,
    jobs::{effect, enter},
    lock,
};
use crate::chaos::bodies::{Effect, Ending, Join};

pub(super) async fn enqueue(queue: &Queue, seed: u64, workload: &Workload, stop: &CancellationToken) {
    let mut dice = StdRng::seed_from_u64(seed ^ 0x6772_6f75_7073);
    let mut number = 0;
    while !stop.is_cancelled() {
        number += 1;
        // What goes wrong here is made good below: the group is known by its number.
        let _ = group(queue, &mut dice, number, workload).await;
        tokio::time::sleep(Duration::from_millis(dice.random_range(200..900))).await;
    }
    let begun: Vec<GroupId> = lock(&workload.groups).values().copied().collect();
    for group in begun {
        for _ in 0..60 {
            match seal(queue, group).await {
                Ok(()) => break,
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }
}

async fn group(queue: &Queue, dice: &mut StdRng, number: i64, workload: &Workload) -> Result<(), QueueError> {
    let policy = if dice.random_bool(0.4) { GroupPolicy::FailFast } else { GroupPolicy::Continue };
    let fails = dice.random_bool(0.4);
    let members = |dice: &mut StdRng, fails: bool| {
        let mut members: Vec<Effect> = (0..dice.random_range(1..12)).map(|n| effect(dice, n)).collect();
        if fails {
            let one = dice.random_range(0..members.len());
            members[one].end = Ending::Discard;
        }
        members
    };

    let mut tx = queue.pool().begin().await?;
    let join = |failed| JobSpec::of(&Join { group: number, failed }).map(Some);
    let group = queue
        .create_group(&mut tx, NewGroup { on_complete: join(false)?, on_failure: join(true)?, ..NewGroup::new(policy) })
        .await?;
    // before the commit, whose answer may get lost
    lock(&workload.groups).insert(number, group);
    let options = Options { group: Some(group), ..Options::default() };
    let entered = queue.enqueue_all(&mut tx, &members(dice, false), &options).await?;
    tx.commit().await?;
    lock(&workload.jobs).extend(entered.ids());
    queue.push(entered).await;

    for _ in 0..dice.random_range(0..3) {
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..100))).await;
        let entered = enter(queue, &members(dice, fails), &options).await?;
        lock(&workload.jobs).extend(entered.ids());
        queue.push(entered).await;
    }
    if dice.random_bool(0.15) {
        let mut tx = queue.pool().begin().await?;
        queue.cancel_group(&mut tx, group).await?;
        tx.commit().await?;
    } else if dice.random_bool(0.8) {
        seal(queue, group).await?;
    }
    Ok(())
}

/// May be repeated: who does not know whether it was done does it again.
async fn seal(queue: &Queue, group: GroupId) -> Result<(), QueueError> {
    let mut tx = queue.pool().begin().await?;
    let joins = queue.seal_group(&mut tx, group).await?;
    tx.commit().await?;
    queue.push(joins).await;
    Ok(())
}
