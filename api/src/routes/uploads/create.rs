use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use gristmill_containers::ContainerError;
use gristmill_core::{ClientId, UnknownVariant};
use gristmill_pipelines::{
    HeaderError, Kind, Question, Said,
    charset::{Charset, Sayer},
};
use gristmill_uploads::{
    FileCheck, FileKind, NewUpload, OnDuplicate, Policy, ReceiveError, ReceiveOutcome, Upload, client_limits,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use strum::VariantNames as _;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use super::{super::profiles, dry_run, location, said};
use crate::{
    app::AppState,
    auth::Caller,
    body::{self, BodyError, Bytestream, Form, TimeoutBody},
    idempotency::idempotency_key,
    openapi::NotTaken,
    params::Params,
    problem::{Code, FieldError, Problem, QuestionBody, Result},
};

/// What is sent. All of it may also be parts of a multipart body, before its part `file`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
pub(super) struct CreateQuery {
    /// Which pipeline reads the file.
    #[param(value_type = FileKind, example = "debts")]
    kind: String,
    /// What one bad row does: `partial` keeps the good rows, `atomic` keeps nothing. `partial` unless given.
    #[param(default = "partial")]
    policy: Option<Policy>,
    /// What becomes of a row whose key an earlier upload has: `skip` keeps that one, `replace` the new one (where that one is not billed),
    /// `error` keeps nothing of the file. `skip` unless given.
    #[param(default = "skip")]
    on_duplicate: Option<OnDuplicate>,
    /// What the file is called, such as `debts-2026-01.csv`.
    #[param(max_length = 255)]
    filename: Option<String>,
    /// Work on the file even if it was completed before: every row of it is a duplicate then.
    #[param(default = false)]
    force: Option<bool>,
    /// Read the file whole and answer with what was found: nothing is stored, and `Idempotency-Key` is ignored. What is kept elsewhere, such
    /// as rows of earlier uploads, is not looked at.
    #[param(default = false)]
    dry_run: Option<bool>,
    /// What separates the file's fields: `comma`, `semicolon`, `tab` or `pipe`, or the character itself. Found unless given.
    #[param(pattern = "^(comma|semicolon|tab|pipe|[,;|\\t])$", example = "semicolon")]
    delimiter: Option<String>,
    /// The characters that the file is written in: `utf-8`, `utf-16`, `windows-1252`, `ibm850` or any other label of the WHATWG's
    /// Encoding Standard. Unless given it is what `Content-Type` says, or found.
    #[param(example = "windows-1252")]
    encoding: Option<String>,
    /// The decimal mark of amounts. Found unless given.
    #[param(pattern = "^(point|comma)$", example = "comma")]
    decimal: Option<String>,
    /// The order of the parts of dates. Found unless given.
    #[param(pattern = "^(dmy|mdy|ymd)$", example = "dmy")]
    dates: Option<String>,
    /// The line of the header, from 1. Found among the first 30 unless given.
    #[param(minimum = 1)]
    header_line: Option<u64>,
    /// Which of the file's columns are which of the kind's: `debtAmount:Valor Total,debtId:#3`, where `#3` is the third one. Columns
    /// that are not named here are found by their names.
    #[param(example = "debtAmount:Valor Total,debtId:#3")]
    columns: Option<String>,
    /// Which file of a ZIP archive it is, by its whole name in it. May be left out where only one is a file of rows.
    #[param(max_length = 1024, example = "2024/january.csv")]
    entry: Option<String>,
    /// Which sheet of a workbook it is, by its name, or `#2` for the second one. May be left out where only one is shown and has rows.
    #[param(max_length = 1024, example = "January")]
    sheet: Option<String>,
    /// The profile (`/v1/profiles`) that says what is not said here; `none`: no one, also if the header chooses one.
    #[param(max_length = 100, example = "bank")]
    profile: Option<String>,
}

/// The file as it is, or compressed by gzip or zstd.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "for the documentation: the body is a stream")]
pub(crate) struct RawFile(Vec<u8>);

/// The file of a multipart body.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "for the documentation: the body is a stream")]
pub(crate) struct UploadForm {
    /// As the query parameter, before `file`.
    kind: Option<String>,
    /// As the query parameter, before `file`.
    policy: Option<Policy>,
    /// As the query parameter, before `file`.
    on_duplicate: Option<OnDuplicate>,
    /// As the query parameter, before `file`.
    filename: Option<String>,
    /// As the query parameter, before `file`.
    force: Option<bool>,
    /// As the query parameter, before `file`.
    dry_run: Option<bool>,
    /// As the query parameter, before `file`.
    delimiter: Option<String>,
    /// As the query parameter, before `file`; unless given it is what the `Content-Type` of `file` says, or found.
    encoding: Option<String>,
    /// As the query parameter, before `file`.
    decimal: Option<String>,
    /// As the query parameter, before `file`.
    dates: Option<String>,
    /// As the query parameter, before `file`.
    header_line: Option<u64>,
    /// As the query parameter, before `file`.
    columns: Option<String>,
    /// As the query parameter, before `file`.
    entry: Option<String>,
    /// As the query parameter, before `file`.
    sheet: Option<String>,
    /// As the query parameter, before `file`.
    profile: Option<String>,
    /// The file: one, and the last part.
    #[schema(content_media_type = "text/csv", value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// An upload, or with `dry_run` what the file holds.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the documentation: each of the two is answered as it is")]
pub(crate) enum UploadOrCheck {
    Upload(Upload),
    Check(FileCheck),
}

/// Send a file
///
/// The body is the file, or multipart with a part `file`: CSV, or, when it begins with `{`, lines of JSON, or, when it begins with `[`, an array of objects, or a workbook (.xlsx, .ods), or a ZIP archive of one of these texts. It is split while it arrives and workers load its first rows
/// before its last are sent. How it is written is found, unless parameters say it, and stands in the upload's `dialect`; what cannot be told
/// for certain is asked (`422`, `ambiguous-file`). `202`: everything is stored and will be done. With `dry_run=true` the file is read
/// and not taken: counts, reasons, the first rejects and the first rows of it are the answer.
#[utoipa::path(post, path = "/v1/uploads", operation_id = "createUpload", tag = "uploads",
    params(CreateQuery,
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "The same key with the same file has the same answer; with another one it is refused"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`, once, when the file is compressed so; a file that begins as one of them is read so without it")),
    request_body(content(
        (RawFile = "text/csv"), (RawFile = "application/x-ndjson"), (RawFile = "application/octet-stream"), (UploadForm = "multipart/form-data"))),
    responses(
        (status = 202, description = "It is stored and will be done", body = Upload, headers(("Location" = String, description = "The upload"))),
        (status = 200, description = "You sent the same file before and it was completed: this is that upload, nothing was done. With `dry_run`: what was found in the file", body = UploadOrCheck, headers(("Location" = String, description = "The upload"))), NotTaken))]
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let encoding = body::encoding(&headers)?;
    let declared = body::charset(&headers)?;
    let boundary = body::boundary(&headers)?;
    let idempotency_key = idempotency_key(&headers)?;
    // A raw body has no parameters in it: what is wrong with them is said before it is read.
    let early = boundary.is_none().then(|| CreateUpload::take(Params::of(&uri), "")).transpose()?;
    let permit = permit(&app)?;

    let revoked = app.revocations.watch(caller.key());
    let timed = TimeoutBody::new(body, &app.config, app.stop_bodies.clone(), revoked);
    let (encoding, packed) = body::packed(timed, encoding).await;
    // A part of a form may be compressed too.
    let max_ratio = match encoding.is_some() || boundary.is_some() {
        true => client_limits::find(&app.pool, caller.id()).await?.over(&app.uploads.limits).max_ratio,
        false => 0,
    };
    let plain = body::decode(packed, encoding, max_ratio);
    let (mut wanted, declared, file) = match early {
        Some(wanted) => (wanted, declared, plain),
        None => {
            let form = Form::read(plain, boundary.unwrap_or_default(), max_ratio).await?;
            let mut query = Params::of(&uri);
            form.fields.into_iter().for_each(|(name, value)| query.add(name, value));
            let mut wanted = CreateUpload::take(query, " before the part 'file'")?;
            wanted.filename = wanted.filename.or(form.filename.filter(|name| check_filename(name).is_ok()));
            (wanted, form.charset, form.file)
        }
    };
    wanted.find_profile(&app, caller.id()).await?;
    wanted.said.charset = wanted.said.charset.or(declared.map(|charset: Charset| (charset, Sayer::ContentType)));
    take_in(&app, &caller, wanted, idempotency_key, file, permit).await
}

/// Receives a file, or looks at it.
pub(super) async fn take_in(
    app: &AppState,
    caller: &Caller,
    wanted: CreateUpload,
    idempotency_key: Option<String>,
    file: Bytestream,
    permit: OwnedSemaphorePermit,
) -> Result<Response> {
    // An upload is received to its end even if its client hangs up, and counts until then: the permit goes with its file.
    let file = file.inspect(move |_| {
        let _held = &permit;
    });
    let CreateUpload { kind, policy, on_duplicate, filename, force, dry_run, said, profile: _ } = wanted;
    if dry_run {
        return Ok(Json(dry_run::check(app, caller, kind, said, file).await?).into_response());
    }
    let new = NewUpload { client_id: caller.id(), kind, policy, on_duplicate, filename, force, idempotency_key, said };
    let (status, upload) = match app.uploads.receive(new, file).await.map_err(problem)? {
        ReceiveOutcome::Accepted(upload) | ReceiveOutcome::Replayed(upload) => (StatusCode::ACCEPTED, upload),
        ReceiveOutcome::Same(upload) => (StatusCode::OK, upload),
    };
    tracing::Span::current().record("upload_id", tracing::field::display(upload.id));
    Ok((status, location(upload.id), Json(upload)).into_response())
}

pub(crate) struct CreateUpload {
    pub(crate) kind: Kind,
    pub(crate) policy: Policy,
    pub(crate) on_duplicate: OnDuplicate,
    pub(crate) filename: Option<String>,
    pub(crate) force: bool,
    pub(crate) dry_run: bool,
    pub(crate) said: Said,
    pub(crate) profile: Option<String>,
}

impl CreateUpload {
    /// Finds the profile that it names, if it names one, so that what it says holds.
    pub(crate) async fn find_profile(&mut self, app: &AppState, client_id: ClientId) -> Result<()> {
        if let Some(name) = &self.profile {
            self.said.profile = profiles::named(app, client_id, self.kind, name).await?;
        }
        Ok(())
    }

    /// `place`: where in the request the parameters must be.
    pub(crate) fn take(mut query: Params, place: &str) -> Result<Self> {
        let kind = query.take("kind");
        let policy = query.take("policy").unwrap_or(Policy::Partial);
        let on_duplicate = query.take_by("on_duplicate", |word| on_duplicate(kind, word)).unwrap_or_default();
        let filename = query.take_by("filename", |name| check_filename(name).map(|()| name.to_owned()));
        let force = query.flag("force");
        let dry_run = query.flag("dry_run");
        let said = said::take(&mut query, kind);
        let profile = query.take::<String>("profile");
        let kind = query
            .finish_with("kind", kind, || format!("missing{place}; it is one of: {}", Kind::VARIANTS.join(", ")))?;
        Ok(Self { kind, policy, on_duplicate, filename, force, dry_run, said, profile })
    }
}

/// Of a kind whose rows have keys that clients choose; of no kind nothing is ruled out.
fn on_duplicate(kind: Option<Kind>, word: &str) -> Result<OnDuplicate, String> {
    let said: OnDuplicate = word.parse().map_err(|error: UnknownVariant| error.to_string())?;
    match kind {
        Some(kind) if said != OnDuplicate::Skip && !kind.table().segments => {
            Err(format!("rows of {kind} have no keys of their own, so there are no duplicates: leave it out"))
        }
        _ => Ok(said),
    }
}

/// To receive one file more.
pub(super) fn permit(app: &AppState) -> Result<OwnedSemaphorePermit> {
    app.receiving.clone().try_acquire_owned().map_err(|_| {
        let limit = app.uploads.limits.max_receiving;
        busy(&format!("{limit} uploads are arriving, and no more are taken at once."))
    })
}

/// `why` is a sentence.
pub(crate) fn busy(why: &str) -> Problem {
    Problem::new(Code::Busy, format!("{why} Try again in seconds."))
        .header(header::RETRY_AFTER, HeaderValue::from_static("2"))
}

pub(super) fn check_filename(name: &str) -> Result<(), String> {
    if name.chars().count() > 255 {
        return Err("longer than 255 characters".to_owned());
    }
    if name.chars().any(char::is_control) {
        return Err("has control characters".to_owned());
    }
    Ok(())
}

pub(crate) fn problem(error: ReceiveError) -> Problem {
    let said = sentence(&error.to_string());
    match error {
        ReceiveError::Header(error) => wrong_header(&error),
        ReceiveError::Foreign { upload_id, .. } => {
            upload_id.into_iter().fold(Problem::new(Code::WrongFormat, said), Problem::about)
        }
        ReceiveError::Charset { upload_id, .. } => {
            let problem = Problem::new(Code::WrongFormat, said.clone());
            problem.errors(vec![FieldError { field: "encoding".to_owned(), detail: said }]).about(upload_id)
        }
        ReceiveError::Ambiguous { questions, upload_id } => ambiguous(questions, said).about(upload_id),
        ReceiveError::Container { error: ContainerError::Empty(_), upload_id } => {
            upload_id.into_iter().fold(Problem::new(Code::EmptyFile, said), Problem::about)
        }
        ReceiveError::Container { upload_id, .. } => {
            upload_id.into_iter().fold(Problem::new(Code::BadContainer, said), Problem::about)
        }
        ReceiveError::ContainerTooLarge { .. } => Problem::new(Code::TooLarge, said),
        ReceiveError::SpoolFull => Problem::new(Code::SpoolFull, format!("{said} Send it again in a minute."))
            .header(header::RETRY_AFTER, HeaderValue::from_static("60")),
        ReceiveError::HeaderTooLong { .. } => Problem::new(Code::WrongHeader, said),
        ReceiveError::Empty => Problem::new(Code::EmptyFile, said),
        ReceiveError::TooLarge { upload_id, .. } => {
            let problem = Problem::new(
                Code::TooLarge,
                format!("{said} Nothing of it stays: split it, or have the limit raised."),
            );
            upload_id.into_iter().fold(problem, Problem::about)
        }
        ReceiveError::TooMuchUnderWay { upload_id, .. } => Problem::new(
            Code::TooMuchUnderWay,
            format!("{said} Nothing of this one stays: send it again when others are completed."),
        )
        .header(header::RETRY_AFTER, HeaderValue::from_static("60"))
        .about(upload_id),
        ReceiveError::KeyReused => Problem::new(Code::KeyReused, format!("{said} Use a new key for new work.")),
        ReceiveError::KeyInFlight => {
            Problem::new(Code::KeyInFlight, format!("{said} Send it again when that one is answered."))
                .header(header::RETRY_AFTER, HeaderValue::from_static("2"))
        }
        ReceiveError::Broken { upload_id, source } => match BodyError::find(&*source) {
            Some(error) => error.problem(upload_id),
            None => upload_id.into_iter().fold(Problem::internal(source), Problem::about),
        },
        ReceiveError::Cancelled { upload_id } => {
            Problem::new(Code::UploadCancelled, format!("{said} Nothing of it stays.")).about(upload_id)
        }
        ReceiveError::Database(error) => error.into(),
        ReceiveError::Queue(error) => error.into(),
        error @ (ReceiveError::Store(_) | ReceiveError::Spool(_)) => Problem::unavailable(error),
    }
}

/// An error's text, which goes on after a colon, as a sentence of its own.
fn sentence(said: &str) -> String {
    let mut letters = said.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if said.ends_with(['.', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

fn ambiguous(questions: Vec<Question>, said: String) -> Problem {
    let error = |question: &Question| FieldError { field: question.parameter.to_owned(), detail: question.to_string() };
    let errors = questions.iter().map(error).collect();
    Problem::new(Code::AmbiguousFile, said)
        .errors(errors)
        .questions(questions.into_iter().map(QuestionBody::from).collect())
}

fn wrong_header(error: &HeaderError) -> Problem {
    let like = |column| error.guess.like.iter().find(|(of, _)| *of == column).map(|(_, name)| name);
    let missing = error.missing.iter().map(|column| match like(*column) {
        Some(name) => (*column, format!("missing; did you mean '{name}'?")),
        None => (*column, "missing".to_owned()),
    });
    let twice = error.duplicate.iter().map(|column| (*column, "named more than once".to_owned()));
    let errors = missing.chain(twice).map(|(column, detail)| FieldError { field: column.to_owned(), detail });
    Problem::new(Code::WrongHeader, sentence(&error.to_string())).errors(errors.collect())
}
