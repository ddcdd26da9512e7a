//! Whole answers, as examples in the document. A test holds them against the schemas that they are examples of.

mod checked;
mod claims;
mod steering;

use serde_json::{Value, json};
use utoipa::openapi::{OpenApi, RefOr, Schema};

use crate::problem::{Code, ProblemBody};

const UPLOAD: &str = "019a4b1e-8c5d-7e30-9a41-5f6d2c7b8e90";
const EARLIER: &str = "019a4b02-1f7a-7c66-b0d3-94e1a85c2f47";
const REQUEST: &str = "019a4b1e-8c5c-7d12-8f0b-3a9c6e5d7b21";
const FILE: &str = "9f2c4e1b7a6d8035c1e94f7b2d6a8035e17c9b4f2a6d8e03b5c1f9472d6a8e03";

const CSV: &str = "name,governmentId,email,debtAmount,debtDueDate,debtId\n\
    Elijah Santos,9558,janet95@example.com,7811.50,2026-01-19,ea23f2ca-663a-4266-a742-9da4c9f4fcb3\n";
const LINES: &str = "{\"name\":\"Elijah Santos\",\"governmentId\":\"9558\",\"email\":\"janet95@example.com\",\"debtAmount\":7811.50,\
    \"debtDueDate\":\"2026-01-19\",\"debtId\":\"ea23f2ca-663a-4266-a742-9da4c9f4fcb3\"}\n";

/// Gives each schema that is a whole answer its example, and the answer to a file what it says of it at that time.
pub(super) fn add(document: &mut OpenApi) {
    for (name, example) in all().into_iter().chain(checked::all()).chain(claims::all()).chain(steering::all()) {
        let schemas = document.components.as_mut().map(|components| &mut components.schemas);
        match schemas.and_then(|schemas| schemas.get_mut(name)) {
            Some(RefOr::T(Schema::Object(schema))) => schema.examples = vec![example],
            Some(RefOr::T(Schema::AllOf(schema))) => schema.examples = vec![example],
            _ => {}
        }
    }
    let create = document.paths.paths.get_mut("/v1/uploads").and_then(|item| item.post.as_mut());
    let Some(create) = create else { return };
    if let Some(RefOr::T(body)) = create.request_body.as_mut() {
        for (name, example) in [("text/csv", CSV), ("application/octet-stream", CSV), ("application/x-ndjson", LINES)] {
            if let Some(RefOr::T(content)) = body.content.get_mut(name) {
                content.example = Some(json!(example));
            }
        }
    }
    if let Some(RefOr::T(taken)) = create.responses.responses.get_mut("202") {
        for content in taken.content.values_mut() {
            if let RefOr::T(content) = content {
                content.example = Some(received());
            }
        }
    }
}

/// A problem as the wire has it.
pub(super) fn problem(code: Code) -> Value {
    let body = ProblemBody {
        kind: code.uri(),
        title: code.title().to_owned(),
        status: code.status().as_u16(),
        detail: code.help().to_owned(),
        instance: REQUEST.to_owned(),
        errors: Vec::new(),
        questions: Vec::new(),
        upload_id: None,
    };
    json!(body)
}

fn all() -> [(&'static str, Value); 11] {
    [
        ("Upload", upload()),
        ("UploadList", json!({ "items": [upload()], "next_cursor": "u19a4b1e8c5d7e309a415f6d2c7b8e90" })),
        ("RejectList", json!({ "items": rejects(), "next_cursor": null })),
        ("DebtList", json!({ "items": [debt()], "next_cursor": null })),
        ("MailList", json!({ "items": [mail()], "next_cursor": null })),
        ("Receipt", receipt()),
        ("Usage", json!({ "usage": usage(), "next_cursor": null })),
        (
            "DailyUsage",
            json!({ "time_zone": "America/Sao_Paulo", "days": [
                { "date": "2026-01-30", "messages": 0, "credits": 0 },
                { "date": "2026-01-31", "messages": 2, "credits": 84.7 },
            ] }),
        ),
        ("Report", report()),
        ("ReportList", json!({ "items": [report()], "next_cursor": null })),
        ("Problem", wrong_header()),
    ]
}

fn usage() -> Value {
    json!([
        { "message_id": "1000", "timestamp": "2026-01-31T09:12:44.381Z", "credits_used": 5.2 },
        {
            "message_id": "1001",
            "timestamp": "2026-01-31T09:14:02.118Z",
            "report_name": "Tenant Obligations Report",
            "credits_used": 79.5,
        },
    ])
}

fn report() -> Value {
    json!({
        "id": "5392",
        "name": "Tenant Obligations Report",
        "credit_cost": 79.5,
        "source": "client",
        "updated_at": "2026-01-31T09:10:07.552013Z",
    })
}

fn rows(read: i64, rejected: i64, duplicate: i64) -> Value {
    json!({ "read": read, "accepted": read - rejected - duplicate, "rejected": rejected, "duplicate": duplicate })
}

fn upload() -> Value {
    json!({
        "id": UPLOAD,
        "kind": "debts",
        "policy": "partial",
        "filename": "debts-2026-01.csv",
        "bytes": 8_388_662,
        "sha256": FILE,
        "state": "completed",
        "rows": rows(86_412, 2, 1),
        "chunks": { "total": 2, "done": 2 },
        "created_at": "2026-01-31T09:12:44.381502Z",
        "received_at": "2026-01-31T09:12:45.207311Z",
        "first_row_at": "2026-01-31T09:12:44.692087Z",
        "completed_at": "2026-01-31T09:12:45.731945Z",
    })
}

/// The same when its last byte has arrived.
fn received() -> Value {
    let mut upload = upload();
    upload["state"] = json!("processing");
    upload["rows"] = rows(0, 0, 0);
    upload["chunks"]["done"] = json!(0);
    if let Some(fields) = upload.as_object_mut() {
        fields.retain(|name, _| !["first_row_at", "completed_at"].contains(&name.as_str()));
    }
    upload
}

fn rejects() -> Value {
    let amount = "debtAmount is \"12.5O\", expected an amount greater than 0 with at most two decimals after a point and no \
                  separators of thousands, like 7811 or 1000.50";
    let date = "debtDueDate is \"19/01/2026\", expected a date YYYY-MM-DD";
    let duplicate =
        format!("the same debtId is on line 12 of upload {EARLIER}; the row there counts, and differs in debtAmount");
    json!([
        {
            "line": 42,
            "column": "debtAmount",
            "reason": "bad_amount",
            "message": format!("{amount}. Also: {date}"),
            "faults": [
                { "column": "debtAmount", "code": "bad_amount", "message": amount },
                { "column": "debtDueDate", "code": "bad_date", "message": date },
            ],
            "raw": "Elijah Santos,9558,janet95@example.com,12.5O,19/01/2026,ea23f2ca-663a-4266-a742-9da4c9f4fcb3",
            "differs": null,
        },
        {
            "line": 977,
            "column": "debtId",
            "reason": "duplicate",
            "message": duplicate,
            "faults": [{ "column": "debtId", "code": "duplicate", "message": duplicate }],
            "raw": "Ana Prado,2318,ana@example.com,310,2026-02-01,5acb3fd0-6d1a-4cf8-a6b5-0c9ad5ecc0b8",
            "first": { "upload_id": EARLIER, "line": 12 },
            "differs": ["debtAmount"],
        },
    ])
}

fn debt() -> Value {
    json!({
        "id": "ea23f2ca-663a-4266-a742-9da4c9f4fcb3",
        "upload_id": UPLOAD,
        "line": 2,
        "name": "Elijah Santos",
        "government_id": "9558",
        "email": "janet95@example.com",
        "amount": { "minor": 781_150, "currency": "BRL", "decimal": "7811.50" },
        "due_date": "2026-01-19",
    })
}

fn mail() -> Value {
    json!({
        "id": "019a4b21-07d3-7b42-8c19-6e2f5a0d9b74",
        "kind": "bill_new",
        "ref": "00000001-0000-8000-8000-000000000007",
        "recipient": "janet95@example.com",
        "subject": "Bill 7 from Acme, due on 02/28/2026",
        "message_id": "<5f6d2c7b8e90a41c94f7b2d6a8035e17@acme.example>",
        "state": "sent",
        "attempts": 1,
        "kept": false,
        "created_at": "2026-01-31T09:14:02.118204Z",
        "sent_at": "2026-01-31T09:14:02.377519Z",
    })
}

fn receipt() -> Value {
    let chunk = |no: i64, first_line: i64, first_byte: i64, sha256: &str, rows: Value| {
        json!({
            "no": no, "first_line": first_line, "first_byte": first_byte, "bytes": 4_194_304, "lines": 43_206 + i64::from(no == 0) * 3,
            "blank": 0, "sha256": sha256, "rows": rows,
        })
    };
    json!({
        "upload_id": UPLOAD,
        "kind": "debts",
        "filename": "debts-2026-01.csv",
        "bytes": 8_388_662,
        "header_bytes": 54,
        "lines": 86_416,
        "sha256": FILE,
        "rows": rows(86_412, 2, 1),
        "chunks": [
            chunk(0, 2, 54, "1b7a6d8035c1e94f7b2d6a8035e17c9b4f2a6d8e03b5c1f9472d6a8e039f2c4e", rows(43_206, 2, 1)),
            chunk(1, 43_208, 4_194_358, "35c1e94f7b2d6a8035e17c9b4f2a6d8e03b5c1f9472d6a8e039f2c4e1b7a6d80", rows(43_206, 0, 0)),
        ],
        "created_at": "2026-01-31T09:12:44.381502Z",
        "received_at": "2026-01-31T09:12:45.207311Z",
        "completed_at": "2026-01-31T09:12:45.731945Z",
    })
}

fn wrong_header() -> Value {
    let mut problem = problem(Code::WrongHeader);
    problem["detail"] = json!("The header lacks the column debtId.");
    problem["errors"] = json!([{ "field": "debtId", "detail": "missing" }]);
    problem
}
