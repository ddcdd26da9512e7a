use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use gristmill_uploads::resumable::{self, BeginError, NewResumable, Resumable, ResumableId};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::{AboutResumable, Names, add::Adding, checksum::Checksum, headers, said};
use crate::{
    app::AppState,
    auth::Caller,
    openapi::{NotResumable, NotTaken},
    params::{Params, bad_header, text_header},
    problem::{Code, FieldError, Problem, Result},
    routes::uploads::CreateUpload,
};

/// Parts of which a file may be put together.
const MAX_PARTS: usize = 1_000;

/// Begin a resumable upload
///
/// By tus 1.0: its parameters are those of `POST /v1/uploads`, in the query or as keys of `Upload-Metadata`. A body is the first bytes of it
/// (`creation-with-upload`). `Upload-Concat: partial` begins a part of a file; `final;` and the addresses of parts put a file together of
/// them. The file is read in when its last byte has arrived; `Gristmill-Upload` names the upload that it became.
#[utoipa::path(post, path = "/v1/tus", operation_id = "createTusUpload", tag = "uploads",
    params(
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Length" = Option<i64>, Header, minimum = 0, description = "Bytes that it will have"),
        ("Upload-Defer-Length" = Option<String>, Header, description = "`1`: a PATCH will say its length"),
        ("Upload-Metadata" = Option<String>, Header, description = "Keys, each with a value in Base64: `kind ZGVidHM=,filename YS5jc3Y=`"),
        ("Upload-Concat" = Option<String>, Header, description = "`partial`, or `final;` and the addresses of parts with spaces between them"),
        ("kind" = Option<String>, Query, description = "This and all other parameters as of `POST /v1/uploads`, if not in `Upload-Metadata`")),
    request_body(content((super::super::uploads::RawFile = "application/offset+octet-stream"))),
    responses((status = 201, description = "It is begun; `Upload-Offset` says what of it is kept", headers(("Location" = String, description = "The resumable upload"))), NotTaken, NotResumable))]
pub(crate) async fn begin(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let metadata = text_header(&headers, &Names::METADATA)?;
    let concat = match text_header(&headers, &Names::CONCAT)? {
        None => Concat::None,
        Some("partial") => Concat::Part,
        Some(text) => Concat::Of(parts(text)?),
    };
    let length = length(&headers, app.uploads.limits.max_file_bytes, &concat)?;
    let parameters = match concat {
        Concat::Part => None,
        _ => Some(parameters(&app, &caller, said(&uri, metadata)?).await?),
    };
    let checksum = Checksum::of(&headers)?;
    let new = NewResumable { client_id: caller.id(), length, metadata: metadata.map(str::to_owned), parameters };
    let (pool, limits) = (&app.pool, &app.uploads.limits);
    let about = |file: &Resumable| AboutResumable { app: app.clone(), caller: caller.clone(), id: file.id };
    let file = match concat {
        Concat::Of(parts) => {
            let file = resumable::concatenate(pool, limits, &new, &parts).await?;
            about(&file).finished(file).await?
        }
        _ => {
            let file = resumable::begin(pool, limits, &new).await?;
            let (about, place) = (about(&file), location(file.id));
            let sent = match has_body(&headers) {
                true => Adding { about, file, checksum }.run(&headers, body).await,
                false => about.finished(file).await,
            };
            // It is begun, and goes on there.
            sent.map_err(|problem| problem.header(header::LOCATION, place))?
        }
    };
    let mut answer = headers::of(&file);
    answer.insert(header::LOCATION, location(file.id));
    Ok((StatusCode::CREATED, answer).into_response())
}

/// What `Upload-Concat` says.
enum Concat {
    None,
    Part,
    Of(Vec<ResumableId>),
}

fn parts(text: &str) -> Result<Vec<ResumableId>> {
    let wrong = |detail: String| bad_header(&Names::CONCAT, detail);
    let Some(urls) = text.strip_prefix("final;") else {
        return Err(wrong(format!("'{text}' is neither partial nor final; with the addresses of parts")));
    };
    let id = |url: &str| {
        let id = url.rsplit_once("/v1/tus/").and_then(|(_, id)| id.parse().ok());
        id.ok_or_else(|| wrong(format!("'{url}' is not the address of a part: those are /v1/tus/ and an id")))
    };
    let parts = urls.split_ascii_whitespace().map(id).collect::<Result<Vec<_>>>()?;
    match parts.len() {
        0 => Err(wrong("names no parts".to_owned())),
        1..=MAX_PARTS => Ok(parts),
        many => Err(wrong(format!("names {many} parts; a file has {MAX_PARTS} at most"))),
    }
}

/// `None`: it will be said later, or is that of the parts.
fn length(headers: &HeaderMap, max_bytes: u64, concat: &Concat) -> Result<Option<i64>> {
    let length = headers::bytes(headers, &Names::LENGTH)?;
    let deferred = match text_header(headers, &Names::DEFER_LENGTH)? {
        None => false,
        Some("1") => true,
        Some(other) => return Err(bad_header(&Names::DEFER_LENGTH, format!("'{other}' is not 1"))),
    };
    match (concat, length, deferred) {
        (Concat::Of(_), None, false) => Ok(None),
        (Concat::Of(_), ..) => Err(bad_header(&Names::LENGTH, "a file of parts has theirs: leave it out")),
        (_, Some(_), true) => {
            Err(bad_header(&Names::DEFER_LENGTH, "the length is said by Upload-Length: send one of both"))
        }
        (_, None, false) => Err(bad_header(&Names::LENGTH, "missing; or send Upload-Defer-Length: 1")),
        (_, None, true) => Ok(None),
        (_, Some(length), false) => fits(length, max_bytes).map(Some),
    }
}

/// A length that a file may have.
pub(super) fn fits(length: i64, max_bytes: u64) -> Result<i64> {
    if length.unsigned_abs() <= max_bytes {
        return Ok(length);
    }
    Err(Problem::new(
        Code::TooLarge,
        format!("The file has {length} bytes, and {max_bytes} are taken. Split it, or have the limit raised."),
    ))
}

/// What is said of the file, checked and as it is kept.
async fn parameters(app: &AppState, caller: &Caller, said: Params) -> Result<String> {
    let kept = said.to_query();
    let mut wanted = CreateUpload::take(said, " in the query or Upload-Metadata")?;
    if wanted.dry_run {
        let detail = "is not for resumable uploads: send a file that is to be read and not taken with POST /v1/uploads";
        return Err(Problem::new(Code::InvalidParameter, format!("dry_run: {detail}."))
            .errors(vec![FieldError { field: "dry_run".to_owned(), detail: detail.to_owned() }]));
    }
    wanted.find_profile(app, caller.id()).await?;
    Ok(kept)
}

fn has_body(headers: &HeaderMap) -> bool {
    let empty = HeaderValue::from_static("0");
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| *length != empty)
}

fn location(id: ResumableId) -> HeaderValue {
    HeaderValue::try_from(format!("/v1/tus/{id}")).expect("a UUID is plain ASCII")
}

impl From<BeginError> for Problem {
    fn from(error: BeginError) -> Self {
        let wait = HeaderValue::from_static("60");
        match error {
            BeginError::TooMany { limit } => Self::new(
                Code::TooManyResumable,
                format!("{limit} resumable uploads of yours have not ended. End some of them, or remove them with DELETE."),
            )
            .header(header::RETRY_AFTER, wait),
            BeginError::TooMuch { limit, others } => Self::new(
                Code::TooMuchUnderWay,
                format!(
                    "Your files that arrive or are worked on may have {limit} bytes together, and the others have {others}. \
                     Begin this one when others are completed."
                ),
            )
            .header(header::RETRY_AFTER, wait),
            BeginError::NoPart(id) => Self::new(
                Code::NotFound,
                format!("There is no partial upload '{id}'. POST /v1/tus with Upload-Concat: partial begins one."),
            ),
            BeginError::UnfinishedPart(id) => Self::new(
                Code::OffsetMismatch,
                format!("The partial upload '{id}' is not whole: send the rest of it, then put the file together."),
            ),
            BeginError::TooLarge { bytes, limit } => Self::new(
                Code::TooLarge,
                format!("The parts have {bytes} bytes together, and {limit} are taken. Split the file, or have the limit raised."),
            ),
            BeginError::Database(error) => error.into(),
        }
    }
}
