use axum::{Json, extract::State};
use gristmill_uploads::{State as UploadState, UploadId, delta};
use http::Uri;
use utoipa::IntoParams;

use super::find;
use crate::{
    app::AppState,
    auth::Caller,
    openapi::NoDelta,
    params::{Params, UploadPath},
    problem::{Code, Problem, Result},
};

/// What to compare with.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct DeltaQuery {
    /// The upload of the earlier version. Unless given, the last one before it of the same kind and file name.
    #[param(value_type = Option<Uuid>)]
    against: Option<UploadId>,
}

/// What a newer version of a file has changed
///
/// Counts the rows of a completed upload by what an earlier version of its file had under their keys: new, changed, unchanged, and
/// those of the earlier one that are missing. Send the newer version with `on_duplicate=replace`, so that what has changed counts.
#[utoipa::path(get, path = "/v1/uploads/{id}/delta", operation_id = "getDelta", tag = "uploads",
    params(("id" = Uuid, Path, description = "The upload of the newer version"), DeltaQuery),
    responses((status = 200, description = "The counts", body = delta::Delta), NoDelta))]
pub(crate) async fn delta(
    State(app): State<AppState>,
    caller: Caller,
    UploadPath(id): UploadPath,
    uri: Uri,
) -> Result<Json<delta::Delta>> {
    let mut query = Params::of(&uri);
    let against = query.id::<UploadId>("against");
    query.finish()?;
    let upload = find(&app, &caller, id).await?;
    completed(upload.state, id)?;
    if !upload.kind.table().segments {
        let why = format!(
            "Rows of {} have no keys of their own, so that versions of a file cannot be compared.",
            upload.kind
        );
        return Err(Problem::new(Code::NotComparable, why).about(id));
    }
    let against = match against {
        Some(against) => {
            let earlier = find(&app, &caller, against).await?;
            completed(earlier.state, against)?;
            if earlier.kind != upload.kind || earlier.completed_at >= upload.completed_at {
                let why = format!(
                    "Upload {against} is not an earlier one of {}: name one that was completed before.",
                    upload.kind
                );
                return Err(Problem::new(Code::NotComparable, why).about(id));
            }
            against
        }
        None => delta::version_before(&app.pool, caller.id(), &upload).await?.ok_or_else(|| {
            let why = "No earlier upload of this kind has its file name: name one with `against`.";
            Problem::new(Code::NotComparable, why).about(id)
        })?,
    };
    Ok(Json(delta::delta(&app.pool, id, against).await?))
}

fn completed(state: UploadState, id: UploadId) -> Result<()> {
    match state {
        UploadState::Completed => Ok(()),
        other => Err(Problem::new(Code::NotCompleted, format!("Upload {id} is {other}, not completed.")).about(id)),
    }
}
