use axum::{
    Json,
    extract::{Path, State},
};
use gristmill_mail::{ResendOutcome, read::Mail, resend as again};
use http::{StatusCode, Uri};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Caller,
    idempotency::Once,
    openapi::NotNow,
    params::Params,
    problem::{Code, Problem, Result},
};

/// How.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct ResendQuery {
    /// Also a mail that the server has taken, so that its recipient gets it twice; and one that is suppressed: it goes out if
    /// the address that counts now is another one.
    force: Option<bool>,
}

/// Send a mail once more
///
/// One that failed, that was kept because there was no mail server, or whose address takes mail again. It is written anew, by
/// what it is about as that stands now, and has a `Message-ID` of its own. One that has nothing to say any more (its bill was paid)
/// fails, and says so.
#[utoipa::path(post, path = "/v1/mail/{id}/resend", operation_id = "resendMail", tag = "mail",
    params(("id" = Uuid, Path, description = "The mail"), ResendQuery),
    responses((status = 202, description = "It will be sent", body = Mail), NotNow))]
pub(crate) async fn resend(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    once: Once,
    uri: Uri,
) -> Result<(StatusCode, Json<Mail>)> {
    let mut query = Params::of(&uri);
    let force = query.flag("force");
    query.finish()?;
    let id: Uuid = name.parse().map_err(|_| super::none(&name))?;
    let mut tx = app.pool.begin().await?;
    let queue = &app.queue;
    let not_now = match again(&mut tx, queue, caller.id(), id, force).await? {
        ResendOutcome::Again(mail, jobs) => {
            once.keep(&mut tx, StatusCode::ACCEPTED, None, &mail).await?;
            tx.commit().await?;
            queue.push(jobs).await;
            return Ok((StatusCode::ACCEPTED, Json(*mail)));
        }
        ResendOutcome::None => return Err(super::none(&name)),
        ResendOutcome::Sending => "The mail is on its way: it is tried until it is sent, or has failed.",
        ResendOutcome::Sent => {
            "The mail was sent: its recipient would get it twice. With ?force=true it is sent again."
        }
        ResendOutcome::Suppressed => {
            "The mail's address is suppressed: DELETE /v1/mail/suppressions?address= lets mails go there again."
        }
    };
    Err(Problem::new(Code::WrongState, not_now))
}
