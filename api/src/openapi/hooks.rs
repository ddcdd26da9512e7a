//! What webhooks are told: the document's section `webhooks`, one entry an event.

use gristmill_webhooks::EventType;
use utoipa::openapi::{
    ContentBuilder, HttpMethod, ObjectBuilder, OpenApi, PathItem, Paths, Ref, Required, ResponseBuilder, Type,
    path::{OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::{KnownFormat, SchemaFormat},
};

/// Describes every event.
pub(super) fn add(document: &mut OpenApi) {
    let mut paths = Paths::new();
    for event in EventType::ALL {
        paths.paths.insert(event.to_string(), PathItem::new(HttpMethod::Post, operation(*event)));
    }
    document.webhooks = Some(paths);
}

/// `upload.completed` is `onUploadCompleted`.
fn operation_id(event: EventType) -> String {
    let words = <&str>::from(event).split('.');
    let capital = |word: &str| format!("{}{}", word[..1].to_uppercase(), &word[1..]);
    format!("on{}", words.map(capital).collect::<String>())
}

fn operation(event: EventType) -> OperationBuilder {
    let (data, summary) = match event {
        EventType::NormalizationCompleted => ("NormalizationCompleted", "A transaction's merchant is known"),
        EventType::UploadCompleted => ("UploadEnd", "An upload is closed: every row is accounted for"),
        EventType::UploadFailed => ("UploadEnd", "An upload has failed: nothing of it counts"),
        EventType::BillCreated => ("BillChange", "A billing run has made a bill"),
        EventType::BillPaid => ("BillChange", "A payment has settled a bill"),
    };
    let moment = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    let schema = ObjectBuilder::new()
        .property("type", ObjectBuilder::new().schema_type(Type::String).enum_values(Some([<&str>::from(event)])))
        .property("timestamp", ObjectBuilder::new().schema_type(Type::String).format(Some(moment)))
        .property("data", Ref::from_schema_name(data))
        .required("type")
        .required("timestamp")
        .required("data")
        .build();
    let header = |name: &str, description: &str| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
    };
    let body = RequestBodyBuilder::new()
        .content("application/json", ContentBuilder::new().schema(Some(schema)).build())
        .required(Some(Required::True));
    OperationBuilder::new()
        .summary(Some(summary))
        .parameter(header(
            "webhook-id",
            "The event: the same at every attempt. Do nothing for one that was seen before.",
        ))
        .parameter(header("webhook-timestamp", "When this attempt was made, in seconds since 1970."))
        .parameter(header(
            "webhook-signature",
            "`v1,` (HMAC-SHA256) or `v1a,` (Ed25519) and a signature in Base64; several with blanks between.",
        ))
        .request_body(Some(body.build()))
        // Signatures stand in for a key.
        .securities(Some([]))
        .operation_id(Some(operation_id(event)))
        .response(
            "2XX",
            ResponseBuilder::new()
                .description("It is taken. Any other answer is tried again; 410 disables the webhook."),
        )
}
