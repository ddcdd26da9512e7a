//! A bill's page, as it is mailed.

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use gristmill_billing::{
    BillId,
    bills::{self, Bill},
    issue::{self, PageError},
};
use gristmill_board::{Error, Frames, Person, broken};
use gristmill_clients::{Settings, settings};
use http::{HeaderName, StatusCode, Uri, header};
use jiff::Timestamp;

use super::app::App;

/// What a browser shows PDF files with must be allowed to.
const POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'",
);

/// Answers `{id}.pdf`; without that ending it is a page of the dashboard.
pub(super) async fn page(
    State(app): State<App>,
    person: Person,
    frames: Frames,
    Path(name): Path<String>,
    uri: Uri,
) -> Response {
    let none = || (StatusCode::NOT_FOUND, "There is no such bill.").into_response();
    let Some(id) = name.strip_suffix(".pdf") else { return frames.show(&person, &uri).await };
    let Ok(id) = id.parse::<BillId>() else { return none() };
    let (bill, settings) = match find(&app, id).await {
        Ok(Some(found)) => found,
        Ok(None) => return none(),
        Err(error) => return broken(&error),
    };
    // Off tokio's threads: a page takes some milliseconds of CPU.
    match tokio::task::spawn_blocking(move || issue::page(&bill, &settings)).await {
        Ok(Ok(page)) => {
            let name = format!("inline; filename=\"bill-{}.pdf\"", id.number);
            let kind = (header::CONTENT_TYPE, "application/pdf".to_owned());
            ([kind, (header::CONTENT_DISPOSITION, name)], [POLICY], page).into_response()
        }
        Ok(Err(error @ PageError::Unpayable(_))) => {
            (StatusCode::CONFLICT, format!("Bill {} has no page: {error}.", id.number)).into_response()
        }
        Ok(Err(error)) => broken(&error),
        Err(error) => broken(&error),
    }
}

async fn find(app: &App, id: BillId) -> Result<Option<(Bill, Settings)>, Error> {
    let settings = settings::find(&app.pool, id.client_id).await?;
    let today = settings.date_of(Timestamp::now())?;
    Ok(bills::find(&app.pool, id, today).await?.map(|bill| (bill, settings)))
}
