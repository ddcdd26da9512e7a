use axum::extract::State;
use gristmill_board::actions::{Answer, NotDone, Params, done};
use gristmill_core::ClientId;
use gristmill_mail::ResendOutcome;
use uuid::Uuid;

use crate::dashboard::app::App;

pub(in crate::dashboard) async fn resend(
    State(app): State<App>,
    Params((client, id)): Params<(ClientId, Uuid)>,
) -> Answer {
    again(&app, client, id, false).await
}

/// Also one that the mail server has taken.
pub(in crate::dashboard) async fn send_twice(
    State(app): State<App>,
    Params((client, id)): Params<(ClientId, Uuid)>,
) -> Answer {
    again(&app, client, id, true).await
}

async fn again(app: &App, client: ClientId, id: Uuid, twice: bool) -> Answer {
    let mut tx = app.pool.begin().await?;
    let refused = match gristmill_mail::resend(&mut tx, &app.queue, client, id, twice).await? {
        ResendOutcome::Again(mail, jobs) => {
            tx.commit().await?;
            app.queue.push(jobs).await;
            return done(format!("It is sent again to {}", mail.recipient));
        }
        ResendOutcome::None => return Err(NotDone::Gone),
        ResendOutcome::Sending => "It is on its way already",
        ResendOutcome::Sent => "It was sent meanwhile",
        ResendOutcome::Suppressed => "Its address takes no mail: its client lifts that (gristmill mail lift ADDRESS)",
    };
    Err(NotDone::Refused(refused.to_owned()))
}
