use super::*;
use crate::{Columns, Piece, SplitLimits, Splitter};

const HEADER: &str = "name,governmentId,email,debtAmount,debtDueDate,debtId";
const ROW: &str = "Ana,1,a@b.c,1,2030-01-31,00000000-0000-4000-8000-000000000000";

fn debts(said: Said) -> Preface {
    Preface::new(Kind::Debts, said, Limits::default())
}

fn cut(text: &[u8], mut preface: Preface, size: usize) -> Result<Found, Box<NoHeader>> {
    for bytes in text.chunks(size) {
        match preface.push(bytes)? {
            Found::More => {}
            found => return Ok(found),
        }
    }
    preface.finish()
}

/// However it is cut.
fn looked(text: &str, said: &Said) -> Result<Found, Box<NoHeader>> {
    let whole = cut(text.as_bytes(), debts(said.clone()), usize::MAX);
    for size in [1, 2, 7, 64] {
        assert_eq!(cut(text.as_bytes(), debts(said.clone()), size), whole, "{text:?} by {size}");
    }
    whole
}

/// The header, and that the splitter and the kind read it so.
fn header_as(text: &str, said: &Said) -> Header {
    let found = looked(text, said).unwrap_or_else(|none| panic!("{text:?}: {none}"));
    let Found::Csv(header) = found else { panic!("{text:?}: {found:?}") };
    let mut pieces = Vec::new();
    let mut splitter = Splitter::at(SplitLimits::default(), header.start());
    splitter.push(text.as_bytes(), |piece| pieces.push(piece));
    splitter.finish(|piece| pieces.push(piece));
    let Some(Piece::Header { raw, .. }) = pieces.first() else { panic!("{text:?}: {pieces:?}") };
    let reading = header.reading(Values::default());
    let layout = Kind::Debts.read_header_as(raw, &reading, &Limits::default()).unwrap();
    let places: Vec<Option<usize>> = layout.places.iter().copied().map(Some).collect();
    assert_eq!(places, header.places, "{text:?}");
    if let Some(Piece::Chunk(chunk)) = pieces.get(1) {
        assert!(chunk.first_line > header.line, "{text:?}");
    }
    header
}

fn header(text: &str) -> Header {
    header_as(text, &Said::default())
}

fn told_as(text: &str, said: &Said) -> String {
    match looked(text, said) {
        Err(none) => none.to_string(),
        Ok(found) => panic!("{text:?}: {found:?}"),
    }
}

fn told(text: &str) -> String {
    told_as(text, &Said::default())
}

fn delimited(text: &str, delimiter: &str) -> String {
    text.replace(',', delimiter)
}

#[test]
fn the_plain_header_is_known_with_its_line() {
    let mut preface = debts(Said::default());
    assert_eq!(preface.push(HEADER.as_bytes()), Ok(Found::More));
    let Ok(Found::Csv(header)) = preface.push(b"\n") else { panic!() };
    assert!(header.is_plain && !header.sep_line);
    assert_eq!((header.skip, header.line, header.delimiter), (0, 1, Delimiter::Comma));
    assert_eq!(header.reading(Values::default()), Reading::default());
    assert_eq!(preface.into_held(), [HEADER, "\n"].concat().as_bytes());
    for text in [
        HEADER.to_owned(),
        format!("\u{feff}{HEADER}\r\n{ROW}\r\n"),
        format!("\n\r\n{HEADER},x,,\r{ROW}"),
        format!("\"{}\"\n{ROW}", HEADER.replace(',', "\",\"")),
        "Debt-ID,Name,government_id,E-mail,Debt Amount,debt_due_date\n".to_owned(),
    ] {
        assert!(self::header(&text).is_plain, "{text:?}");
    }
}

#[test]
fn each_delimiter_is_found() {
    for (mark, delimiter) in
        [(";", Delimiter::Semicolon), ("\t", Delimiter::Tab), ("|", Delimiter::Pipe), (",", Delimiter::Comma)]
    {
        let text = delimited(&format!("{HEADER}\n{ROW}\n"), mark);
        assert_eq!(header(&text).delimiter, delimiter);
        let quoted = format!("\u{feff}\"{}\"\r\n", HEADER.replace(',', &format!("\"{mark}\"")));
        assert_eq!(header(&quoted).delimiter, delimiter);
        let said = Said { delimiter: Some(delimiter), ..Said::default() };
        assert_eq!(header_as(&text, &said).delimiter, delimiter);
    }
    // what separates the rows is another question
    assert_eq!(header(&format!("{HEADER}\n{}\n", delimited(ROW, ";"))).delimiter, Delimiter::Comma);
}

#[test]
fn a_preamble_is_skipped() {
    let semicolons = delimited(HEADER, ";");
    let report = format!("Banco Exemplo S.A.\nRelatório;emitido 01/02/2026\n\n{HEADER}\n{ROW}\n");
    let found = header(&report);
    assert_eq!((found.line, found.delimiter, found.is_plain), (4, Delimiter::Comma, false));
    assert_eq!(&report.as_bytes()[usize::try_from(found.skip).unwrap()..][..4], b"name");
    let found = header(&format!("\u{feff}\r\rBanco\r\n{semicolons}\r\nAna;1\r\n"));
    assert_eq!((found.line, found.delimiter), (4, Delimiter::Semicolon));
    // a quote that nothing closes
    let found = header(&format!("\"Banco\nde \"x\n{semicolons}\nAna;1\n"));
    assert_eq!((found.line, found.skip), (3, 13));
    // the header again is a matter of its row
    assert_eq!(header(&format!("{HEADER}\n{ROW}\n{HEADER}\n")).line, 1);
    let lines = "x\n".repeat(29);
    assert_eq!(header(&format!("{lines}{HEADER}\n")).line, 30);
    assert_eq!(
        told(&format!("{lines}x\n{HEADER}\n{ROW}\n")),
        "None of the first 30 lines names the columns name, governmentId, email, debtAmount, debtDueDate, debtId: send \
         header_line=."
    );
    let said = Said { header_line: Some(31), ..Said::default() };
    assert_eq!(header_as(&format!("{lines}x\n{HEADER}\n{ROW}\n"), &said).line, 31);
}

#[test]
fn the_line_of_excel_says_the_delimiter() {
    for (sep, mark) in [("sep=;", ";"), ("\"sep=\t\"", "\t"), ("SEP=,", ",")] {
        let found = header(&format!("{sep}\r\n{}\r\nAna", delimited(HEADER, mark)));
        assert!(found.sep_line && !found.is_plain);
        assert_eq!((found.line, mark.as_bytes()), (2, &[found.delimiter.byte()][..]));
    }
    let semicolons = format!("sep=,\n{}\n", delimited(HEADER, ";"));
    assert_eq!(
        told(&semicolons),
        "Line 1 says sep=, and the header is separated by ';': remove line 1, or send delimiter=."
    );
    let said = Said { delimiter: Some(Delimiter::Semicolon), ..Said::default() };
    assert_eq!(header_as(&semicolons, &said).line, 2);
    assert!(told(&format!("sep=^\n{HEADER}\n")).starts_with("Line 1 says sep=^ and the header is separated by ','"));
}

#[test]
fn what_reads_in_two_ways_is_a_question() {
    let both = format!("{HEADER},x;{}\n", delimited(HEADER, ";"));
    assert_eq!(
        told(&both),
        "The header can be read with ',' and with ';': send delimiter=comma or delimiter=semicolon."
    );
    let said = |delimiter| Said { delimiter: Some(delimiter), ..Said::default() };
    assert_eq!(header_as(&both, &said(Delimiter::Semicolon)).places[0], Some(1));
    assert_eq!(header_as(&both, &said(Delimiter::Comma)).places[0], Some(0));
    assert_eq!(
        told("nome,cpf,email,valor,montante,vencimento,id\n"),
        "valor and montante may both be debtAmount: send columns=debtAmount:valor or columns=debtAmount:montante."
    );
    let Err(none) = looked("nome,cpf,email,valor,montante,vencimento,id\n", &Said::default()) else { panic!() };
    let Why::Asks(question) = &none.why else { panic!() };
    assert_eq!((question.parameter, question.choices.len(), none.names.len()), ("columns", 2, 7));
}

#[test]
fn words_for_columns_and_what_was_said_name_them() {
    let found = header("nome;cpf;email;valor;vencimento;id\nAna;1\n");
    assert_eq!(found.places, (0..6).map(Some).collect::<Vec<_>>());
    assert!(!found.is_plain);
    let columns = Columns::read(Kind::Debts, "debtAmount:VALOR (R$),debtId:#6").unwrap();
    let said = Said { columns, ..Said::default() };
    let text = "nome;cpf;email;VALOR (R$);vencimento;x\nAna;1\n";
    assert_eq!(header_as(text, &said).places, (0..6).map(Some).collect::<Vec<_>>());
    assert!(told("nome;cpf;email;VALOR (R$);vencimento;id\n").starts_with(
        "the header lacks debtAmount; it has: nome, cpf, email, VALOR (R$), vencimento, id. Did you mean VALOR (R$) for \
         debtAmount? Send columns=debtAmount:VALOR (R$). A header names the columns name, governmentId"
    ));
    assert!(told_as("name;governmentId;email;valor;debtDueDate;debtId\n", &said).starts_with(
        "columns= says that debtAmount is 'VALOR (R$)', which is not there; the header has: name, governmentId, email"
    ));
    let again = header("Nome; C.P.F ;cpf;email;valor;vencimento;id\n").fingerprint();
    assert_eq!(header("NOME;c.p.f;CPF;E-mail;valor;vencimento;id\n").fingerprint(), again);
    assert_ne!(header("Nome;cpf;C.P.F;email;valor;vencimento;id\n").fingerprint(), again);
    // over two lines
    let found = header(&HEADER.replace("debtAmount", "\"debt\nAmount\"").replace("name", "Banco\nname"));
    assert_eq!((found.line, found.names[3].as_str()), (2, "debt\nAmount"));
    let found = header(&format!("\"a\nb\",{HEADER}\n"));
    assert_eq!((found.line, found.places[0]), (1, Some(1)), "its second line names them, too");
}

#[test]
fn what_is_no_header_is_told() {
    // no header at all: as it always was
    let rows = format!("{ROW}\n").repeat(3);
    let said = told(&rows);
    assert!(
        said.starts_with("the header lacks name, governmentId, email, debtAmount, debtDueDate, debtId; it has: Ana")
    );
    assert!(told("name\nAna\n").starts_with("the header lacks governmentId, email,"));
    assert!(told("\"name,governmentId,email").starts_with("a quote of the header is not closed"));
    assert!(
        told(&format!("Banco\n{}\n", HEADER.replace(",debtId", ""))).starts_with(
            "the header on line 2 lacks debtId; it has: name, governmentId, email, debtAmount, debtDueDate."
        )
    );
    let twice = told(&format!("{HEADER},Email\n"));
    assert!(twice.starts_with("the header names more than once: email; it has:"), "{twice}");
    let semicolon = Said { delimiter: Some(Delimiter::Semicolon), ..Said::default() };
    let said = told_as(&format!("{HEADER}\n{ROW}\n"), &semicolon);
    assert!(said.starts_with("you said delimiter=semicolon; with commas line 1 is the header."), "{said}");
    let line = |line| Said { header_line: Some(line), ..Said::default() };
    let third = told_as(&format!("{HEADER}\n{ROW}\nx,y\n{ROW}\n"), &line(3));
    assert!(third.starts_with("the header on line 3 lacks name, "), "{third}");
    assert!(
        told_as(&format!("{HEADER}\n\n{ROW}\n"), &line(2)).starts_with("line 2, which header_line= says, is empty")
    );
    assert!(told_as(&format!("{HEADER}\n"), &line(9)).starts_with("line 9, which header_line= says, is empty or not"));
    for (text, what) in [("{\n\"name\":1}\n", "object"), ("[\n{\"name\":1}]", "array")] {
        assert!(told(text).starts_with(&format!("this is one JSON {what} over several lines")), "{text}");
    }
    assert!(told("[{\"name\":1},{\"name\":2}]").ends_with("or is an array of objects."));
}

#[test]
fn limits_hold() {
    let limits = Limits { max_columns: 8, max_record_bytes: 200 };
    let look = |text: &str| {
        let whole = cut(text.as_bytes(), Preface::new(Kind::Debts, Said::default(), limits), usize::MAX);
        assert_eq!(cut(text.as_bytes(), Preface::new(Kind::Debts, Said::default(), limits), 1000), whole);
        whole.map_err(|none| none.to_string())
    };
    assert!(look(&format!("{HEADER},1,2,3\n")).unwrap_err().contains("9 columns, at most 8 are allowed (max_columns)"));
    assert!(look(&format!("{HEADER},{}\n", "x".repeat(200))).unwrap_err().contains("longer than 200 bytes"));
    assert!(look(&"x".repeat(300_000)).unwrap_err().contains("longer than 200 bytes"));
    assert!(
        matches!(look(&format!("{}\n{HEADER}\n", "x".repeat(1000))), Ok(Found::Csv(_))),
        "a long line of a preamble"
    );
    assert!(look(&format!("{}\n{HEADER}\n", "x".repeat(300_000))).is_err());
}

#[test]
fn what_has_no_header_is_none() {
    for text in ["", "\u{feff}", "\n\r\n", "\u{feff}\n"] {
        assert_eq!(looked(text, &Said::default()), Ok(Found::Empty), "{text:?}");
    }
    for text in ["{\"name\":1}", "\u{feff}\n \t{ \"name\"", "{}\n{}"] {
        assert_eq!(looked(text, &Said::default()), Ok(Found::Ndjson), "{text:?}");
    }
}

#[test]
fn empty_lines_are_not_held() {
    for mark in ["", "\u{feff}"] {
        let mut preface = debts(Said::default());
        assert_eq!(preface.push(mark.as_bytes()), Ok(Found::More));
        for _ in 0..1000 {
            assert_eq!(preface.push("\n\r\n".repeat(1000).as_bytes()), Ok(Found::More));
            assert!(preface.held.len() <= mark.len());
        }
        let Ok(Found::Csv(header)) = preface.push(format!("{HEADER}\n").as_bytes()) else { panic!() };
        assert_eq!((header.line, header.skip), (2_000_001, 3_000_000 + mark.len() as u64));
        assert_eq!(preface.skipped(), (3_000_000, 2_000_000));
        assert!(header.is_plain);
    }
    let mut preface = debts(Said::default());
    assert_eq!(preface.push(&[b'\r'; 2 << 20]), Ok(Found::More));
    assert_eq!(preface.finish(), Ok(Found::Empty));
}

#[test]
fn lines_are_not_looked_at_with_each_byte() {
    let looked = |text: &[u8], size: usize| {
        let mut preface = debts(Said::default());
        for bytes in text.chunks(size) {
            if !matches!(preface.push(bytes), Ok(Found::More)) {
                break;
            }
        }
        preface.looked.get()
    };
    // an open quote keeps it waiting
    let open = ["\"".to_owned(), "\u{100}\n".repeat(30_000)].concat();
    let wide = [",".repeat(50_000), "\n\"".to_owned(), "{\n".repeat(20_000)].concat();
    for text in [open, wide] {
        for size in [1, 2, 1000] {
            let lines = looked(text.as_bytes(), size);
            assert!(lines <= 40 * 30, "{lines} by {size}");
        }
    }
    // the header is known when its line has ended
    let mut preface = debts(Said::default());
    for byte in HEADER.bytes() {
        assert_eq!(preface.push(&[byte]), Ok(Found::More));
    }
    assert!(matches!(preface.push(b"\n"), Ok(Found::Csv(_))));
}

#[test]
fn no_names_are_made_of_too_many_columns() {
    let text = format!("{}\n{HEADER}\n", ",".repeat(5_000));
    assert_eq!(header(&text).line, 2);
    let limit = "the header has 5001 columns, at most 1000 are allowed (max_columns)";
    assert_eq!(told(&format!("{}\nx\n", ",".repeat(5_000))), limit);
    assert_eq!(told(&format!("{HEADER}{}\n{ROW}\n", ",".repeat(4_995))), limit);
    let said = Said { delimiter: Some(Delimiter::Semicolon), ..Said::default() };
    assert!(told_as(&format!("{}\nx\n", ",".repeat(5_000)), &said).starts_with("the header lacks name"));
}
