//! What was found in a file that was not taken.

use serde_json::{Value, json};

pub(super) fn all() -> [(&'static str, Value); 1] {
    [("CheckedFile", file())]
}

fn file() -> Value {
    let message = "debtAmount is \"12.5O\", expected an amount greater than 0 with at most two decimals after a point and no \
                   separators of thousands, like 7811 or 1000.50";
    json!({
        "read": 86_412,
        "good": 86_411,
        "rejected": 1,
        "blank": 0,
        "duplicate_in_file": 3,
        "reasons": [{ "code": "bad_amount", "column": "debtAmount", "rows": 1, "first_line": 42, "message": message }],
        "rejects": [{
            "line": 42,
            "column": "debtAmount",
            "reason": "bad_amount",
            "message": message,
            "faults": [{ "column": "debtAmount", "code": "bad_amount", "message": message }],
            "raw": "Elijah Santos;9558;janet95@example.com;12.5O;2026-01-19;ea23f2ca-663a-4266-a742-9da4c9f4fcb3",
        }],
        "sample": [{
            "line": 2,
            "fields": {
                "name": "Ana Prado",
                "governmentId": "2318",
                "email": "ana@example.com",
                "debtAmount": "310",
                "debtDueDate": "2026-02-01",
                "debtId": "5acb3fd0-6d1a-4cf8-a6b5-0c9ad5ecc0b8",
            },
        }],
        "lines": 86_413,
        "bytes": 8_388_662,
        "dialect": { "encoding": "utf-8", "delimiter": ";", "header_line": 1 },
    })
}
