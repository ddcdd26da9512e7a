use axum::{body::Body, extract::State, response::Response};
use gristmill_pipelines::charset::Sayer;
use gristmill_uploads::{Upload, client_limits};
use gristmill_webhooks::outbound::{CallError, FetchError, Fetched};
use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::Url;
use utoipa::ToSchema;

use super::create::{CreateQuery, CreateUpload, UploadOrCheck, check_filename, permit, take_in};
use crate::{
    app::AppState,
    auth::Caller,
    body::{self, Sum, TimeoutBody},
    idempotency::idempotency_key,
    json,
    openapi::{NotTaken, NotThere},
    params::Params,
    problem::{Code, Problem, Result},
};

/// Where a file is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchFile {
    /// Its address: https, and no address of a private network. What grants access stands in it, as in those that stores sign.
    #[schema(max_length = 2048, example = "https://files.example.com/debts-2026-01.csv.gz")]
    url: String,
    /// The SHA-256 of its bytes as they come, in hexadecimal digits. A file with another one is refused.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
}

/// Fetch a file
///
/// The server reads the file from an address, as if it were the body of `POST /v1/uploads`, with the same parameters. The answer comes when
/// the whole file is stored. Redirects are followed, each as far as the first address may be called. What breaks off goes on where it was if the
/// file has a strong `ETag` or `Last-Modified`. Once its header is read the upload is received to its end even if who asked hangs up: with
/// an `Idempotency-Key` it is found by `GET /v1/uploads?idempotency_key=`.
#[utoipa::path(post, path = "/v1/uploads/fetch", operation_id = "fetchUpload", tag = "uploads",
    params(CreateQuery,
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "The same key with the same file has the same answer; with another one it is refused. The file is read for that")),
    request_body = FetchFile,
    responses(
        (status = 202, description = "It is stored and will be done", body = Upload, headers(("Location" = String, description = "The upload"))),
        (status = 200, description = "You sent the same file before and it was completed: this is that upload, nothing was done. With `dry_run`: what was found in the file", body = UploadOrCheck, headers(("Location" = String, description = "The upload"))), NotTaken, NotThere))]
pub(crate) async fn fetch(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    json::Body(FetchFile { url, sha256 }): json::Body<FetchFile>,
) -> Result<Response> {
    let idempotency_key = idempotency_key(&headers)?;
    let mut wanted = CreateUpload::take(Params::of(&uri), "")?;
    let address = url.trim();
    let checked = app.outbound.check(address).map_err(|error| Problem::bad_field("url", error))?;
    let sum = sha256.as_deref().map(str::parse::<Sum>).transpose();
    let sum = sum.map_err(|error| Problem::bad_field("sha256", error))?;
    wanted.find_profile(&app, caller.id()).await?;
    let permit = permit(&app)?;
    let file = app.outbound.fetch(address).await.map_err(|error| refused(&error))?;
    if !file.is_framed && sum.is_none() {
        let detail = "Its server says neither how long the file is nor where it ends, so a part of it would look whole: give its sha256.";
        return Err(Problem::new(Code::NotFetched, detail));
    }
    let encoding = body::encoding(&file.headers)?;
    let charset = body::charset(&file.headers)?;
    wanted.filename = wanted.filename.or_else(|| name(&checked));
    wanted.said.charset = wanted.said.charset.or(charset.map(|charset| (charset, Sayer::ContentType)));

    let (encoding, packed) = body::packed(timed(&app, &caller, file, sum), encoding).await;
    let max_ratio = match encoding.is_some() {
        true => client_limits::find(&app.pool, caller.id()).await?.over(&app.uploads.limits).max_ratio,
        false => 0,
    };
    let plain = body::decode(packed, encoding, max_ratio);
    take_in(&app, &caller, wanted, idempotency_key, plain, permit).await
}

/// Its server is as little trusted as a client: it may not be silent for ever.
fn timed(app: &AppState, caller: &Caller, file: Fetched, sum: Option<Sum>) -> TimeoutBody {
    let body = Body::from_stream(body::fetched(file, sum));
    TimeoutBody::new(body, &app.config, app.stop_bodies.clone(), app.revocations.watch(caller.key()))
}

/// What the file is called there.
fn name(url: &Url) -> Option<String> {
    let last = url.path_segments()?.next_back()?;
    let name = percent_decode_str(last).decode_utf8().ok()?.into_owned();
    (!name.is_empty() && check_filename(&name).is_ok()).then_some(name)
}

fn refused(error: &FetchError) -> Problem {
    match error {
        FetchError::Call(CallError::Url(error)) => Problem::bad_field("url", error),
        FetchError::Call(CallError::NotPublic(error)) => Problem::bad_field("url", error),
        error => Problem::new(body::code_of(error), format!("The address gives no file: {error}. Nothing was taken.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_its_address_ends() {
        let name = |url: &str| name(&url.parse().unwrap());
        assert_eq!(name("https://a.b/c/d%C3%ADvidas.csv?X-Amz-Signature=1").as_deref(), Some("dívidas.csv"));
        assert_eq!(name("https://a.b/"), None);
        assert_eq!(name("https://a.b/%00.csv"), None);
    }
}
