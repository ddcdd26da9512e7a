use gristmill_pipelines::{Format, HeaderError, Kind, Layout, Limits, Over};

fn read(header: &[u8]) -> Result<Layout, HeaderError> {
    Kind::Debts.read_header(header, &Limits { max_columns: 8, max_record_bytes: 200 })
}

#[test]
fn missing_columns_are_named() {
    let error = read(b"Name,governmentId,mail,debtAmount,debtDueDate").unwrap_err();
    assert_eq!(error.missing, ["email", "debtId"]);
    assert_eq!(error.found, ["Name", "governmentId", "mail", "debtAmount", "debtDueDate"]);
    insta::assert_snapshot!(error);
}

#[test]
fn a_file_without_a_header_is_told_so() {
    let error = read(b"Elijah Santos,9558,janet95@example.com,7811,2024-01-19,ea23f2ca-663a-4266-a742-9da4c9f4fcb3");
    assert_eq!(error.unwrap_err().missing, Kind::Debts.columns());
    assert_eq!(read(b"\"\"").unwrap_err().missing, Kind::Debts.columns());
}

#[test]
fn what_is_no_line_of_json_is_told_so() {
    assert_eq!(read(b"").unwrap().format(), Format::Ndjson, "without a header the lines are JSON");
    let error = read(br#"[{"name":"Elijah Santos"}"#).unwrap_err();
    assert!(error.to_string().ends_with("one object a line, without brackets around them and commas between them."));
}

#[test]
fn columns_named_twice_are_named() {
    let error = read(b"name,governmentId,email,debtAmount,debtDueDate,debtId,Email ,x").unwrap_err();
    assert_eq!((error.duplicate.as_slice(), error.missing.is_empty()), (&["email"][..], true));
    insta::assert_snapshot!(error);
    assert!(read(b"name,governmentId,email,debtAmount,debtDueDate,debtId,,").is_ok(), "unknown ones do not matter");
}

#[test]
fn limits_are_named() {
    let many = read(b"name,governmentId,email,debtAmount,debtDueDate,debtId,1,2,3").unwrap_err();
    assert_eq!(many.over, Some(Over::Columns { found: 9, limit: 8 }));
    assert!(many.to_string().contains("max_columns"), "{many}");
    let long = read(&[b'x'; 201]).unwrap_err();
    assert_eq!(long.over, Some(Over::Bytes { limit: 200 }));
    assert!(long.to_string().contains("max_record_bytes"), "{long}");
}
