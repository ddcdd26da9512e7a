//! The frame of the OpenAPI document; the routes fill it in.

mod answers;
mod examples;
mod hooks;

use gristmill_webhooks::{BillChange, NormalizationCompleted, UploadEnd};
use utoipa::{
    OpenApi,
    openapi::{
        Object, OpenApi as Document, RefOr, Required, Schema, SecurityRequirement, Server, Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::SchemaType,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

pub(crate) use answers::*;
use answers::{may_answer, operations};

use crate::problem::{Code, ProblemBody};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gristmill",
        description = "Bulk files in; settled rows out, each exactly once.\n\nEvery error is a problem (RFC 9457) with a stable `type`.",
    ),
    components(schemas(ProblemBody, NormalizationCompleted, UploadEnd, BillChange)),
    tags(
        (name = "uploads", description = "Send files, and follow their outcome"),
        (name = "debts", description = "The rows of completed uploads"),
        (name = "normalizations", description = "Which merchants transactions name"),
        (name = "usage", description = "What messages cost, and the reports that say so"),
        (name = "bills", description = "Billing runs, bills and payments"),
        (name = "claims", description = "Claims, their payments, and what each provider's add up to"),
        (name = "jobs", description = "Jobs in the queue: yours, or with an operator's key those of all clients"),
        (name = "groups", description = "Jobs with one join"),
        (name = "queues", description = "Operators only: pause, drain and limit queues"),
        (name = "limits", description = "Operators only: limit jobs by their names, and share slots among them"),
        (name = "work", description = "Operators only: jobs for workers in any language"),
        (name = "workers", description = "Operators only: workers and what they run"),
        (name = "schedules", description = "Operators only: jobs by the clock"),
        (name = "mail", description = "Mails, and suppressed addresses"),
        (name = "settings", description = "Your profile, and how you bill"),
        (name = "webhooks", description = "Events by HTTP, and their deliveries"),
        (name = "about", description = "The server itself"),
    ),
)]
struct Frame;

/// The document without routes.
pub(crate) fn frame() -> Document {
    let mut document = Frame::openapi();
    let mut key = Http::new(HttpAuthScheme::Bearer);
    key.bearer_format = Some("gm_…".to_owned());
    key.description = Some("A key made by `gristmill keys create --client NAME`.".to_owned());
    if let Some(license) = &mut document.info.license {
        // Not one of the list but an expression: there is no page to lead to.
        license.identifier = None;
    }
    document.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(key));
    document
}

/// The document with its routes gets what is the same for all of them, and examples of what they answer.
pub(crate) fn finished(document: &mut Document) {
    document.servers = Some(vec![Server::builder().url("/").description(Some("Where this document is from")).build()]);
    for (_, path, operation) in operations(document) {
        may_answer(operation, [Code::InvalidParameter, Code::Internal]);
        if path.contains('{') {
            may_answer(operation, [Code::NotFound]);
        }
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(Parameter { schema: Some(RefOr::T(Schema::Object(schema))), .. }) = parameter {
                not_null(schema);
            }
        }
        let optional = operation.operation_id.as_ref().is_some_and(|id| BODY_MAY_LACK.contains(&id.as_str()));
        if let Some(RefOr::T(body)) = operation.request_body.as_mut().filter(|_| optional) {
            body.required = Some(Required::False);
        }
    }
    examples::add(document);
    hooks::add(document);
}

/// A parameter may lack, but nobody can write null in a header.
fn not_null(schema: &mut Object) {
    if let SchemaType::Array(types) = &mut schema.schema_type {
        types.retain(|kind| *kind != Type::Null);
        if let [kind] = types.as_slice() {
            schema.schema_type = SchemaType::Type(kind.clone());
        }
    }
}

/// Operations that read [`crate::json::Options`].
const BODY_MAY_LACK: [&str; 2] = ["createBillingRun", "redriveJob"];

/// What stands before the routes that need no key.
pub(crate) fn open(document: &mut Document) {
    operations(document).for_each(|(.., operation)| operation.security = Some(Vec::new()));
}

/// What stands before the routes that need a key: `require_key`.
pub(crate) fn keyed(document: &mut Document) {
    for (.., operation) in operations(document) {
        may_answer(operation, [Code::Unauthorized, Code::Unavailable]);
        operation.security = Some(vec![SecurityRequirement::new("key", <[&str; 0]>::default())]);
    }
}

/// What the routes of `gristmill-http` answer, whoever asks.
pub(crate) fn queue(document: &mut Document) {
    for (method, path, operation) in operations(document) {
        may_answer(operation, [Code::Forbidden]);
        if method != "get" && ["/v1/flows", "/v1/jobs", "/v1/groups"].iter().any(|start| path.starts_with(start)) {
            may_answer(operation, [Code::WrongState]);
        }
    }
}

/// What stands before the routes of workers, which send again what was not answered.
pub(crate) fn work(document: &mut Document) {
    for (.., operation) in operations(document) {
        may_answer(operation, [Code::InvalidBody, Code::NoObject, Code::BodyTooLarge, Code::BodyTooSlow]);
    }
}

/// What stands before the routes with small bodies or none: `whole`, `bounded` and `idempotent`.
pub(crate) fn small(document: &mut Document) {
    for (method, _, operation) in operations(document) {
        if method != "get" {
            may_answer(operation, [Code::InvalidBody, Code::BodyTooLarge, Code::BodyTooSlow]);
        }
        if operation.request_body.is_some() {
            may_answer(operation, [Code::NoObject]);
        }
        if method == "post" {
            may_answer(operation, [Code::KeyInFlight, Code::KeyReused]);
            operation.parameters.get_or_insert_default().push(idempotency_key().into());
        }
    }
}

fn idempotency_key() -> Parameter {
    let text = Object::builder().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)).build();
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Makes it safe to repeat: the same key with the same request has the same answer for a day. Another request \
             with it is refused (422), and so is the same one while the first still runs (409).",
        ))
        .schema(Some(text))
        .build()
}
