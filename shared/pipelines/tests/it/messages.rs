use gristmill_pipelines::{Kind, Limits, Owner, ParsedChunk, ReasonCode, Rules};
use uuid::Uuid;

const OWNER: Owner = Owner { client_id: 7, upload_id: Uuid::from_u128(1) };

fn parse(header: &str, records: &str) -> ParsedChunk {
    let layout = Kind::Messages.read_header(header.as_bytes(), &Limits::default()).unwrap();
    Kind::Messages.parse(records.as_bytes(), 1, &layout, &OWNER, &Rules::default())
}

#[test]
fn csv_and_json_say_the_same() {
    let csv = parse(
        "id,timestamp,text,report_id",
        "1,2024-04-29T02:08:29.375Z,What?,\n2,2024-04-29T02:08:30Z,\" a \"\"b\"\" é \",77\n3,2024-04-29T02:08:31Z,,\n",
    );
    let json = parse(
        "",
        "{\"id\":1,\"timestamp\":\"2024-04-29T02:08:29.375Z\",\"text\":\"What?\",\"report_id\":null}\n\
         {\"report_id\":77,\"TEXT\":\" a \\\"b\\\" \\u00e9 \",\"other\":[{}],\"id\":\"2\",\"timestamp\":\"2024-04-29T02:08:30Z\"}\n\
         {\"id\":3,\"timestamp\":\"2024-04-29T02:08:31Z\",\"text\":\"\"}",
    );
    assert_eq!((csv.rejects, json.rejects), (vec![], vec![]));
    assert_eq!((csv.tuples, csv.mentions.clone()), (json.tuples, json.mentions));
    assert_eq!(csv.mentions.into_iter().collect::<Vec<_>>(), ["77"]);
    let optional = parse("text,timestamp,id", "x,2024-04-29T02:08:29.375Z,1");
    assert_eq!((optional.rows.len(), optional.mentions.len()), (1, 0));
}

#[test]
fn the_same_id_is_the_same_key_however_it_is_written() {
    let json = parse(
        "",
        "{\"id\":1,\"timestamp\":\"2024-04-29T02:08:29Z\",\"text\":\"a\"}\n{\"id\":\"1\",\"timestamp\":\"2024-04-29T02:08:29Z\",\"text\":\"b\"}",
    );
    assert_eq!(json.rows[0].key, json.rows[1].key);
}

#[test]
fn bad_lines_of_json_name_line_field_and_reason() {
    let time = "\"timestamp\":\"2024-04-29T02:08:29Z\"";
    for (line, column, code, said) in [
        (
            format!("{{\"id\":1,{time}}}"),
            Some("text"),
            ReasonCode::MissingField,
            "text is missing: an empty text is \"\"",
        ),
        (format!("{{\"id\":1,{time},\"text\":null}}"), Some("text"), ReasonCode::MissingField, "text is missing"),
        (format!("{{\"text\":\"x\",{time}}}"), Some("id"), ReasonCode::MissingField, "id is empty"),
        (
            format!("{{\"id\":true,{time},\"text\":\"x\"}}"),
            Some("id"),
            ReasonCode::BadJson,
            "id is \"true\", expected a text",
        ),
        (
            format!("{{\"id\":1,{time},\"text\":[\"x\"]}}"),
            Some("text"),
            ReasonCode::BadJson,
            "expected a text or a number",
        ),
        (
            format!("{{\"id\":1,{time},\"text\":\"x\",\"Id\":2}}"),
            Some("id"),
            ReasonCode::BadJson,
            "id stands in the object twice",
        ),
        (format!("{{\"id\":1,{time},\"text\":\"a\\u0000b\"}}"), Some("text"), ReasonCode::NulByte, "text holds a NUL"),
        (
            format!("{{\"id\":1,{time},\"text\":\"\\ud800\"}}"),
            None,
            ReasonCode::BadJson,
            "the line is not a JSON object: ",
        ),
        (
            format!("{{\"id\":1,{time},\"text\":\"x\""),
            None,
            ReasonCode::BadJson,
            "EOF while parsing an object at column 53",
        ),
        (
            format!("{{\"id\":1,{time},\"text\":\"x\"}} {{}}"),
            None,
            ReasonCode::BadJson,
            "trailing characters at column",
        ),
        (
            "[1]".to_owned(),
            None,
            ReasonCode::BadJson,
            "invalid type: sequence, expected an object in one line at column",
        ),
        (
            "{\"id\":1,\"timestamp\":1714356509,\"text\":\"x\"}".to_owned(),
            Some("timestamp"),
            ReasonCode::BadTimestamp,
            "2024-04-29T02:08:29.375Z",
        ),
        ("x ".to_owned(), None, ReasonCode::BadJson, "expected value"),
    ] {
        let parsed = parse("", &format!("\n{line}\n"));
        let [reject] = &parsed.rejects[..] else { panic!("{line} is accepted") };
        assert_eq!(
            (reject.line, reject.column, reject.code, &reject.raw[..]),
            (2, column, code, line.as_bytes()),
            "{line}"
        );
        assert!(reject.message.contains(said), "{line}: {}", reject.message);
    }
}

/// Where a moment stands in a tuple: behind its count of fields, key, client, upload and line.
fn sent_at(timestamp: &str) -> i64 {
    let parsed = parse("id,timestamp,text", &format!("1,{timestamp},x"));
    let row = parsed.rows.first().unwrap_or_else(|| panic!("{timestamp}: {:?}", parsed.rejects));
    let place = row.start as usize + 2 + (4 + 16) + (4 + 4) + (4 + 16) + (4 + 8) + 4;
    i64::from_be_bytes(parsed.tuples[place..][..8].try_into().unwrap())
}

#[test]
fn moments_are_those_of_another_library() {
    let epoch: jiff::Timestamp = "2000-01-01T00:00:00Z".parse().unwrap();
    for text in [
        "2024-04-29T02:08:29.375Z",
        "1999-12-31T23:59:59.999999+00:00",
        "2024-02-29t23:59:59-03:30",
        "2024-04-29 02:08:29.1+14:00",
        "0002-01-01T00:00:00Z",
        "9990-12-31T23:59:59.123456z",
    ] {
        let theirs: jiff::Timestamp = text.parse().unwrap();
        assert_eq!(sent_at(text), theirs.as_microsecond() - epoch.as_microsecond(), "{text}");
    }
    assert_eq!(sent_at("2024-04-29T02:08:29"), sent_at("2024-04-29T02:08:29Z"));
    assert_eq!(sent_at("2024-04-29T02:08:29.123456789Z"), sent_at("2024-04-29T02:08:29.123456Z"));
}
