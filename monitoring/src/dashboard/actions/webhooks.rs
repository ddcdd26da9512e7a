use axum::extract::State;
use gristmill_board::actions::{Answer, NotDone, Params, done};
use gristmill_core::ClientId;
use gristmill_webhooks::{
    deliveries,
    endpoints::{self, Change},
    jobs::ReplayDeliveries,
};
use uuid::Uuid;

use crate::dashboard::app::App;

pub(in crate::dashboard) async fn enable(
    State(app): State<App>,
    Params((client, id)): Params<(ClientId, Uuid)>,
) -> Answer {
    set_enabled(&app, client, id, true).await?;
    done("The webhook is enabled")
}

pub(in crate::dashboard) async fn disable(
    State(app): State<App>,
    Params((client, id)): Params<(ClientId, Uuid)>,
) -> Answer {
    set_enabled(&app, client, id, false).await?;
    done("The webhook is disabled")
}

async fn set_enabled(app: &App, client: ClientId, id: Uuid, enabled: bool) -> Result<(), NotDone> {
    let change = Change { enabled: Some(enabled), ..Change::default() };
    endpoints::change(&app.pool, client, id, &change).await?.map(drop).ok_or(NotDone::Gone)
}

pub(in crate::dashboard) async fn test(
    State(app): State<App>,
    Params((client, id)): Params<(ClientId, Uuid)>,
) -> Answer {
    let mut tx = app.pool.begin().await?;
    let Some((_, jobs)) = gristmill_webhooks::test(&mut tx, &app.queue, client, id).await? else {
        return Err(NotDone::Gone);
    };
    tx.commit().await?;
    app.queue.push(jobs).await;
    done("A test is sent: it is the newest delivery")
}

/// Every delivery of an endpoint that failed.
pub(in crate::dashboard) async fn replay_failed(
    State(app): State<App>,
    Params((client_id, endpoint_id)): Params<(ClientId, Uuid)>,
) -> Answer {
    if endpoints::find(&app.pool, client_id, endpoint_id).await?.is_none() {
        return Err(NotDone::Gone);
    }
    let job = ReplayDeliveries {
        client_id,
        endpoint_id,
        state: deliveries::State::Failed,
        since: None,
        until: None,
        after: Uuid::nil(),
    };
    let mut tx = app.pool.begin().await?;
    let jobs = deliveries::replay_all(&mut tx, &app.queue, &job).await?;
    tx.commit().await?;
    app.queue.push(jobs).await;
    done("Failed deliveries are retried")
}

/// One delivery.
pub(in crate::dashboard) async fn replay(
    State(app): State<App>,
    Params((client, endpoint, id)): Params<(ClientId, Uuid, Uuid)>,
) -> Answer {
    let mut tx = app.pool.begin().await?;
    let replayed = deliveries::replay(&mut tx, &app.queue, client, endpoint, id).await?;
    let deliveries::ReplayOutcome::Again(jobs) = replayed else { return Err(NotDone::Gone) };
    tx.commit().await?;
    app.queue.push(jobs).await;
    done("It is sent again")
}
