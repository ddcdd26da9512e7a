//! `/v1/profiles`: what a client has saved of how its files are written.

use axum::{Json, extract::State};
use gristmill_core::ClientId;
use gristmill_pipelines::{Columns, Delimiter, Kind, UseProfile, records::Records};
use gristmill_uploads::{
    FileKind, UploadId,
    profiles::{self, MAX_NAME, PutError, SavedProfile, Words},
    read,
};
use http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    json::Body,
    openapi::BadProfile,
    params::{Named, Params},
    problem::{Code, FieldError, Problem, Result},
};

/// Names of a header.
const MAX_COLUMNS: usize = 1_000;
/// Characters of one.
const MAX_COLUMN: usize = 1_000;

/// A page of profiles.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProfileList {
    items: Vec<FileProfile>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// What was saved of how files are written.
#[derive(Serialize, ToSchema)]
pub(crate) struct FileProfile {
    #[schema(example = "bank")]
    name: String,
    #[schema(value_type = FileKind)]
    kind: Kind,
    /// What it says, by the names of the parameters of `POST /v1/uploads`.
    #[schema(value_type = std::collections::HashMap<String, String>, example = json!({"decimal": "comma", "dates": "dmy", "columns": "debtAmount:Valor Total"}))]
    says: Words,
    /// The names of the columns in the header that chooses it. Null: it holds where it is named.
    #[schema(example = json!(["Contrato", "Nome", "CPF", "E-mail", "Valor Total", "Vencimento"]))]
    header: Option<Vec<String>>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<SavedProfile> for FileProfile {
    fn from(saved: SavedProfile) -> Self {
        let SavedProfile { name, kind, words: says, header, created_at, updated_at } = saved;
        Self { name, kind, says, header, created_at, updated_at }
    }
}

/// What is to be saved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutProfile {
    /// Of which files. May be left out with `from_upload`.
    #[serde(default)]
    #[schema(value_type = Option<FileKind>)]
    kind: Option<Kind>,
    /// What it says, by the names of the parameters of `POST /v1/uploads`: `encoding`, `delimiter`, `header_line`, `decimal`, `dates`,
    /// `columns`, `entry`, `sheet`.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>, example = json!({"decimal": "comma", "dates": "dmy", "columns": "debtAmount:Valor Total"}))]
    says: Words,
    /// The names of the columns of a header, in their order: files that have it use this profile, however its names are capitalised and
    /// whatever accents, blanks, `_`, `-`, `#` and `/` are in them. What it says of what comes before a header (`encoding`,
    /// `header_line`, `entry`, `sheet`) holds only where it is named.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 1000)]
    header: Option<Vec<String>>,
    /// One of your uploads: its header, and what was said or found of it, as far as `says` says nothing else.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    from_upload: Option<UploadId>,
}

/// How many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct ProfilesQuery {
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(pattern = "^P([0-9a-fA-F]{2})*$")]
    cursor: Option<String>,
}

/// Your profiles, by name
#[utoipa::path(get, path = "/v1/profiles", operation_id = "listProfiles", tag = "uploads", params(ProfilesQuery),
    responses((status = 200, description = "A page", body = ProfileList)))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<ProfileList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let after = query.take::<cursor::Profiles>("cursor").map(cursor::Profiles::text);
    query.finish()?;
    let found = profiles::list(&app.pool, caller.id(), &after.unwrap_or_default(), i64::from(limit) + 1).await?;
    let (rows, next_cursor) = cursor::page(found, limit, |last| cursor::Profiles::after(last.name.clone()));
    Ok(Json(ProfileList { items: rows.into_iter().map(FileProfile::from).collect(), next_cursor }))
}

/// One profile
#[utoipa::path(get, path = "/v1/profiles/{name}", operation_id = "getProfile", tag = "uploads",
    params(("name" = String, Path, description = "The profile")), responses((status = 200, description = "The profile", body = FileProfile)))]
pub(crate) async fn one(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    uri: Uri,
) -> Result<Json<FileProfile>> {
    Params::of(&uri).finish()?;
    find(&app, &caller, &name.0).await.map(|found| Json(found.into()))
}

/// Save how files are written
///
/// A later file of the kind is read so, if it has the profile's `header` or is sent with `profile=` and its name. What a request says
/// itself goes before it. Files that are on their way stay as they are.
#[utoipa::path(put, path = "/v1/profiles/{name}", operation_id = "putProfile", tag = "uploads",
    params(("name" = String, Path, description = "The profile")), request_body = PutProfile,
    responses((status = 200, description = "As it is now", body = FileProfile), BadProfile))]
pub(crate) async fn put(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    uri: Uri,
    Body(new): Body<PutProfile>,
) -> Result<Json<FileProfile>> {
    Params::of(&uri).finish()?;
    check_name(&name.0)?;
    let PutProfile { kind, says, header, from_upload } = match new.from_upload {
        Some(id) => of_upload(&app, &caller, id, new).await?,
        None => new,
    };
    debug_assert!(from_upload.is_none());
    let kind = kind.ok_or_else(|| bad("kind", "missing: it may be left out with from_upload alone"))?;
    profiles::read(kind, &says).map_err(|(parameter, why)| bad(&format!("says.{parameter}"), &why))?;
    if let Some(header) = &header {
        check_header(header)?;
    }
    let mut tx = app.pool.begin().await?;
    profiles::put(&mut tx, caller.id(), &name.0, kind, &says, header.as_deref()).await.map_err(problem)?;
    tx.commit().await?;
    find(&app, &caller, &name.0).await.map(|found| Json(found.into()))
}

/// Delete a profile
///
/// Files that are on their way stay as they are.
#[utoipa::path(delete, path = "/v1/profiles/{name}", operation_id = "deleteProfile", tag = "uploads",
    params(("name" = String, Path, description = "The profile")), responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(State(app): State<AppState>, caller: Caller, name: Named, uri: Uri) -> Result<StatusCode> {
    Params::of(&uri).finish()?;
    match !name.0.contains('\0') && profiles::delete(&app.pool, caller.id(), &name.0).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(none(&name.0)),
    }
}

/// What `profile=` says of a file of this kind.
pub(crate) async fn named(app: &AppState, client_id: ClientId, kind: Kind, name: &str) -> Result<UseProfile> {
    if name == UseProfile::NEVER {
        return Ok(UseProfile::Never);
    }
    let wrong = |detail: String| {
        let errors = vec![FieldError { field: "profile".to_owned(), detail: detail.clone() }];
        Problem::new(Code::InvalidParameter, format!("profile: {detail}")).errors(errors)
    };
    let found = saved(app, client_id, name).await?;
    let found = found.ok_or_else(|| wrong(format!("there is no profile '{name}': GET /v1/profiles lists yours")))?;
    if found.kind != kind {
        return Err(wrong(format!("'{name}' is a profile of {}, and the file is one of {kind}", found.kind)));
    }
    Ok(UseProfile::Named(Box::new(found.profile()?)))
}

async fn find(app: &AppState, caller: &Caller, name: &str) -> Result<SavedProfile> {
    saved(app, caller.id(), name).await?.ok_or_else(|| none(name))
}

/// A NUL is in no profile's name, and the database does not take one.
async fn saved(app: &AppState, client_id: ClientId, name: &str) -> Result<Option<SavedProfile>> {
    match name.contains('\0') {
        true => Ok(None),
        false => Ok(profiles::find(&app.pool, client_id, name).await?),
    }
}

/// What is to be saved, with what an upload shows.
async fn of_upload(app: &AppState, caller: &Caller, id: UploadId, new: PutProfile) -> Result<PutProfile> {
    let upload = super::uploads::find(app, caller, id).await?;
    if new.kind.is_some_and(|kind| kind != upload.kind) {
        return Err(bad("kind", &format!("the upload is one of {}", upload.kind)));
    }
    let names = match read::header(&app.pool, id).await? {
        Some(header) => names_of(&header.raw, header.delimiter),
        None => Vec::new(),
    };
    let dialect = upload.dialect.unwrap_or_default();
    let columns = dialect.columns.map(|places| Columns::at(upload.kind, &places, &names).to_string());
    let mut says = Words::new();
    let found = [
        ("decimal", dialect.decimal.map(|decimal| decimal.to_string())),
        ("dates", dialect.dates.map(|dates| dates.to_string())),
        ("delimiter", dialect.delimiter.map(|delimiter| delimiter.to_string())),
        ("columns", columns.filter(|columns| !columns.is_empty())),
    ];
    says.extend(found.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))));
    says.extend(new.says);
    let header = new.header.or(Some(names).filter(|names| !names.is_empty()));
    Ok(PutProfile { kind: Some(upload.kind), says, header, from_upload: None })
}

/// The names of a header; lines of JSON have none.
fn names_of(header: &[u8], delimiter: Delimiter) -> Vec<String> {
    let mut records = Records::new(header, 1).delimited_by(delimiter);
    let record = records.next_record();
    let names = record.iter().flat_map(|record| record.fields());
    names.map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect()
}

fn check_name(name: &str) -> Result<()> {
    let is_odd = name.is_empty() || name.trim() != name || name.chars().any(char::is_control);
    if is_odd || name.chars().count() > MAX_NAME {
        return Err(bad(
            "name",
            &format!("empty, longer than {MAX_NAME} characters, or has blanks at its ends or control characters"),
        ));
    }
    if name == UseProfile::NEVER {
        return Err(bad("name", "'none' means that no profile holds: choose another name"));
    }
    Ok(())
}

fn check_header(header: &[String]) -> Result<()> {
    if !(1..=MAX_COLUMNS).contains(&header.len()) {
        return Err(bad("header", &format!("has {} names: 1 to {MAX_COLUMNS} are taken", header.len())));
    }
    let odd = |name: &&String| name.chars().count() > MAX_COLUMN || name.contains('\0');
    match header.iter().find(odd) {
        Some(_) => Err(bad("header", &format!("a name is longer than {MAX_COLUMN} characters, or has a NUL in it"))),
        None => Ok(()),
    }
}

fn bad(field: &str, detail: &str) -> Problem {
    let errors = vec![FieldError { field: field.to_owned(), detail: detail.to_owned() }];
    Problem::new(Code::InvalidProfile, format!("{field}: {detail}.")).errors(errors)
}

fn none(name: &str) -> Problem {
    Problem::new(Code::NotFound, format!("There is no profile '{name}'. GET /v1/profiles lists yours."))
}

fn problem(error: PutError) -> Problem {
    match error {
        PutError::Database(error) => error.into(),
        error @ PutError::HeaderTaken(_) => bad("header", &error.to_string()),
        error @ PutError::TooMany => bad("name", &error.to_string()),
    }
}
