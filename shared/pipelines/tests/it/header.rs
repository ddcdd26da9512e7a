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
    assert!(error.to_string().ends_with("one object a line, or is an array of objects."));
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
    let open = Kind::Debts.read_header(b"\"name,governmentId,email", &Limits::default()).unwrap_err();
    assert!(open.to_string().starts_with("a quote of the header is not closed"), "{open}");
    assert_eq!(long.over, Some(Over::Bytes { limit: 200 }));
    assert!(long.to_string().contains("max_record_bytes"), "{long}");
}

#[test]
fn names_need_not_be_written_as_we_do() {
    for header in [
        "name,government_id,email,debt_amount,debt_due_date,debt_id",
        "Name,Government ID,E-mail,Debt Amount,DEBT-DUE-DATE,debt id",
        "\u{200b}n\u{e3}me,governmentId,email\u{a0},debtAmount,\u{feff}debtDueDate,debtId\u{200e}",
    ] {
        assert_eq!(read(header.as_bytes()).unwrap().width(), 6, "{header}");
    }
    // what is exactly a column's name is the column
    assert!(read(b"name,governmentId,email,debtAmount,debtDueDate,debtId,debt_id").is_ok());
    assert_eq!(
        read(b"name,governmentId,email,debtAmount,debtDueDate,debt_id,debt-id").unwrap_err().duplicate,
        ["debtId"]
    );
}

#[test]
fn what_is_missing_is_looked_for_among_the_names() {
    let error = read("nome,cpf,email,valor,vencimento,id".as_bytes()).unwrap_err();
    let like: Vec<(&str, &str)> = error.guess.like.iter().map(|(column, name)| (*column, name.as_str())).collect();
    let meant = [
        ("name", "nome"),
        ("governmentId", "cpf"),
        ("debtAmount", "valor"),
        ("debtDueDate", "vencimento"),
        ("debtId", "id"),
    ];
    assert_eq!(like, meant);
    insta::assert_snapshot!(error);
    let error = read("na\u{1b}[31mme\u{200b},x".as_bytes()).unwrap_err();
    assert!(!error.to_string().contains(|char: char| char.is_control() || char == '\u{200b}'), "{error}");
}

#[test]
fn the_beginning_of_the_file_tells_why_there_is_no_header() {
    let header = b"name;governmentId;email;debtAmount;debtDueDate;debtId";
    let error = read(header).unwrap_err().explained_by(&[&header[..], b"\nAna;1;a@b.c;1,00;31/12/2030;x"].concat());
    assert_eq!(error.missing.len(), 6);
    insta::assert_snapshot!(error);
}
