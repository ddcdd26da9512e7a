//! Records of the kind, good and bad.

use crate::{Bad, ReasonCode, Samples};

pub(crate) const SAMPLES: Samples = Samples {
    header: "id,timestamp,text,report_id",
    good: &[
        "1000,2024-04-29T02:08:29.375Z,Are there any restrictions on alterations or improvements?,",
        "1001,2024-04-29T03:25:03.613+01:00,\"Generate a Tenant Obligations Report for the new tenant, please\",5392",
        "8c2a4c1e-6f0b-4a73-9a3e-5d0f3a1c7b52,2024-04-29 07:27:34,What are the indemnity provisions?, 8806 ",
        " short-id ,2024-02-29T23:59:59.999999999-03:00,,",
        "1002,2024-04-29T07:27:34Z,\"  two\r\nlines, \"\"quoted\"\"  \",",
        "1003,2024-04-29 02:08:29.375+00,x,",
        "1004,2024-04-29 02:08:29.375-03,x,",
        "\u{feff}1005\u{a0},2024-04-29T02:08,x,\u{200b}",
        "ação,2024-04-29T07:27:34Z,Há cláusulas de rescisão?,relatório",
    ],
    bad: &[
        bad(b"1,2024-04-29T07:27:34Z,x", None, ReasonCode::TooFewColumns),
        bad(b"1,2024-04-29T07:27:34Z,x, y,", None, ReasonCode::TooManyColumns),
        bad(b" ,2024-04-29T07:27:34Z,x,", Some("id"), ReasonCode::MissingField),
        bad(LONG_ID, Some("id"), ReasonCode::FieldTooLong),
        bad(b"1,,x,", Some("timestamp"), ReasonCode::MissingField),
        bad(b"1,2024-04-29,x,", Some("timestamp"), ReasonCode::BadTimestamp),
        bad(b"1,2024-02-30T07:27:34Z,x,", Some("timestamp"), ReasonCode::BadTimestamp),
        bad(b"1,2024-04-29T24:00:00Z,x,", Some("timestamp"), ReasonCode::BadTimestamp),
        bad(b"1,2024-04-29T07:27:34.Z,x,", Some("timestamp"), ReasonCode::BadTimestamp),
        bad(b"1,2024-04-29T07:27:34+01:0,x,", Some("timestamp"), ReasonCode::BadTimestamp),
        bad(b"3.73E+09,2024-04-29T07:27:34Z,x,", Some("id"), ReasonCode::BadId),
        bad(b"1,2024-04-29T07:27:34Z,x,\"3,73E+09\"", Some("report_id"), ReasonCode::BadId),
        bad(b"1,9999-12-31T07:27:34Z,x,", Some("timestamp"), ReasonCode::BadTimestamp),
        bad(b"1,2024-04-29T07:27:34Z,Jos\xe9,", Some("text"), ReasonCode::NotUtf8),
        bad(b"1,2024-04-29T07:27:34Z,a\0b,", Some("text"), ReasonCode::NulByte),
        bad(b"1,2024-04-29T07:27:34Z,x,\xff", Some("report_id"), ReasonCode::NotUtf8),
    ],
};

const LONG_ID: &[u8] =
    b"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\
0123456789012345678901234567890,2024-04-29T07:27:34Z,x,";

const fn bad(record: &'static [u8], column: Option<&'static str>, code: ReasonCode) -> Bad {
    Bad { record, column, code }
}
