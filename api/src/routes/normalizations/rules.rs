//! `/v1/normalization-rules`: what a client knows better than the dictionary.

use axum::{Json, extract::State};
use gristmill_normalization::rules::{self, RuleError, RuleRow};
use gristmill_pipelines::merchants::{MAX_RULES, Test};
use http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Caller,
    idempotency::Once,
    json::Body,
    openapi::BadRule,
    params::{Named, Params},
    problem::{Code, FieldError, Problem, Result},
};

/// A client's rules.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleList {
    /// In the order in which they are asked.
    items: Vec<Rule>,
}

/// A rule: descriptors that it holds for have its name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rule {
    id: Uuid,
    /// `contains`: the pattern's words, one behind the other; `regex`: an expression.
    test: String,
    pattern: String,
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<RuleRow> for Rule {
    fn from(kept: RuleRow) -> Self {
        let RuleRow { id, test, pattern, name, created_at, updated_at } = kept;
        Self { id, test, pattern, name, created_at: created_at.to_jiff(), updated_at: updated_at.to_jiff() }
    }
}

/// What a rule says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRule {
    /// `contains`: the pattern's words stand in the descriptor one behind the other, whatever the punctuation and the
    /// capitals. `regex`: the expression matches somewhere in it, in any capitals.
    #[schema(value_type = String, pattern = "^(contains|regex)$", example = "contains")]
    test: Test,
    /// At most 200 characters.
    #[schema(example = "acme widgets")]
    pattern: String,
    /// The merchant, at most 200 characters.
    #[schema(example = "Acme")]
    name: String,
}

/// Your rules, in the order in which they apply
#[utoipa::path(get, path = "/v1/normalization-rules", operation_id = "listNormalizationRules", tag = "normalizations",
    responses((status = 200, description = "All of them", body = RuleList)))]
pub(crate) async fn list_rules(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<RuleList>> {
    Params::of(&uri).finish()?;
    let items = rules::list(&app.pool, caller.id()).await?;
    Ok(Json(RuleList { items: items.into_iter().map(Rule::from).collect() }))
}

/// Add a rule
///
/// Behind those that are there, of which there may be 500. The first one that holds wins, over the dictionary too.
#[utoipa::path(post, path = "/v1/normalization-rules", operation_id = "createNormalizationRule", tag = "normalizations", request_body = NewRule,
    responses((status = 201, description = "It holds from now on", body = Rule), BadRule))]
pub(crate) async fn create_rule(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    Body(new): Body<NewRule>,
) -> Result<(StatusCode, Json<Rule>)> {
    Params::of(&uri).finish()?;
    let mut tx = app.pool.begin().await?;
    let id = rules::create(&mut tx, caller.id(), new.test, &new.pattern, &new.name).await.map_err(problem)?;
    let rule = find(&mut *tx, &caller, id).await?;
    once.keep(&mut tx, StatusCode::CREATED, None, &rule).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(rule)))
}

/// One rule
#[utoipa::path(get, path = "/v1/normalization-rules/{id}", operation_id = "getNormalizationRule", tag = "normalizations",
    params(("id" = Uuid, Path, description = "The rule")), responses((status = 200, description = "The rule", body = Rule)))]
pub(crate) async fn one_rule(State(app): State<AppState>, caller: Caller, name: Named, uri: Uri) -> Result<Json<Rule>> {
    Params::of(&uri).finish()?;
    Ok(Json(find(&app.pool, &caller, id(&name)?).await?))
}

/// Change a rule
///
/// It keeps its place.
#[utoipa::path(put, path = "/v1/normalization-rules/{id}", operation_id = "putNormalizationRule", tag = "normalizations",
    params(("id" = Uuid, Path, description = "The rule")), request_body = NewRule,
    responses((status = 200, description = "It holds from now on", body = Rule), BadRule))]
pub(crate) async fn put_rule(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    uri: Uri,
    Body(new): Body<NewRule>,
) -> Result<Json<Rule>> {
    Params::of(&uri).finish()?;
    let id = id(&name)?;
    let mut tx = app.pool.begin().await?;
    if !rules::update(&mut tx, caller.id(), id, new.test, &new.pattern, &new.name).await.map_err(problem)? {
        return Err(none(id));
    }
    tx.commit().await?;
    Ok(Json(find(&app.pool, &caller, id).await?))
}

/// Delete a rule
#[utoipa::path(delete, path = "/v1/normalization-rules/{id}", operation_id = "deleteNormalizationRule", tag = "normalizations",
    params(("id" = Uuid, Path, description = "The rule")), responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete_rule(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    uri: Uri,
) -> Result<StatusCode> {
    Params::of(&uri).finish()?;
    let id = id(&name)?;
    let mut tx = app.pool.begin().await?;
    if !rules::delete(&mut tx, caller.id(), id).await? {
        return Err(none(id));
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn id(name: &Named) -> Result<Uuid> {
    name.id("rule", "/v1/normalization-rules")
}

async fn find(on: impl PgExecutor<'_>, caller: &Caller, id: Uuid) -> Result<Rule> {
    let found = rules::find(on, caller.id(), id).await?;
    found.map(Rule::from).ok_or_else(|| none(id))
}

fn none(id: Uuid) -> Problem {
    Problem::new(Code::NotFound, format!("There is no rule '{id}'. GET /v1/normalization-rules lists yours."))
}

fn problem(error: RuleError) -> Problem {
    let bad = |field: &str, detail: String| {
        let errors = vec![FieldError { field: field.to_owned(), detail: detail.clone() }];
        Problem::new(Code::InvalidRule, format!("{field}: {detail}")).errors(errors)
    };
    match error {
        RuleError::Bad(error) => bad(error.field, error.detail),
        RuleError::TooMany => bad("rules", format!("there are {MAX_RULES} already: delete one first")),
        RuleError::Database(error) => error.into(),
    }
}
