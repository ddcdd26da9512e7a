//! Workbooks written part by part.

use gristmill_pipelines::Decimal;

use crate::{LIMITS, Limits, Wanted, read, read_as, sheet, text, zip};

const TYPES: &str = "<Types/>";
const RELS: &str = "<Relationships><Relationship Id=\"rId1\" \
     Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>";

/// A workbook of these sheets: name, attributes, rows.
fn workbook(sheets: &[(&str, &str, &str)], properties: &str, strings: &str, styles: &str) -> Vec<u8> {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let mut related = format!(
        "<Relationship Id=\"s\" Type=\"{kind}/sharedStrings\" Target=\"sharedStrings.xml\"/>\
         <Relationship Id=\"t\" Type=\"{kind}/styles\" Target=\"/xl/styles.xml\"/>"
    );
    let (mut listed, mut parts) = (String::new(), Vec::new());
    for (n, (name, attributes, rows)) in sheets.iter().enumerate() {
        listed += &format!("<sheet name=\"{name}\" sheetId=\"{}\" {attributes} r:id=\"r{n}\"/>", n + 1);
        related += &format!("<Relationship Id=\"r{n}\" Type=\"{kind}/worksheet\" Target=\"worksheets/sheet{n}.xml\"/>");
        parts.push((
            format!("xl/worksheets/sheet{n}.xml"),
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><worksheet><sheetData>{rows}</sheetData></worksheet>"),
        ));
    }
    let main = format!("<workbook>{properties}<sheets>{listed}</sheets></workbook>");
    let related = format!("<Relationships>{related}</Relationships>");
    let strings = format!("<sst>{strings}</sst>");
    let mut files: Vec<(&str, &[u8])> = vec![
        ("[Content_Types].xml", TYPES.as_bytes()),
        ("_rels/.rels", RELS.as_bytes()),
        ("xl/workbook.xml", main.as_bytes()),
        ("xl/_rels/workbook.xml.rels", related.as_bytes()),
        ("xl/sharedStrings.xml", strings.as_bytes()),
        ("xl/styles.xml", styles.as_bytes()),
    ];
    files.extend(parts.iter().map(|(name, part)| (name.as_str(), part.as_bytes())));
    zip(&files)
}

fn one(rows: &str) -> Vec<u8> {
    workbook(
        &[("Plan1", "", rows)],
        "",
        "<si><t>José</t></si><si><r><t>two </t></r><r><t>runs</t></r><rPh><t>no</t></rPh></si>",
        "<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>",
    )
}

#[test]
fn cells_are_what_they_are_typed_as() {
    let rows = "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c><c r=\"C1\" t=\"inlineStr\"><is><t>in &lt;line&gt;</t></is></c></row>\
                <row r=\"2\"><c r=\"A2\"><v>1234.5</v></c><c r=\"B2\" s=\"1\"><v>45657</v></c><c r=\"C2\" t=\"b\"><v>1</v></c></row>\
                <row r=\"3\"><c r=\"A3\"><f>A2*2</f><v>0.30000000000000004</v></c><c r=\"B3\" s=\"1\"><v>45657.5</v></c><c r=\"C3\" t=\"e\"><v>#REF!</v></c></row>\
                <row r=\"5\"><c r=\"B5\" t=\"str\"><f>x</f><v>a_x000D_b</v></c><c r=\"C5\" t=\"d\"><v>2024-01-31T00:00:00</v></c></row>\
                <row r=\"6\"/><row r=\"7\"><c r=\"A7\"/><c r=\"B7\"><v></v></c></row>";
    let (source, text) = read(&one(rows)).unwrap();
    assert_eq!(source, "xlsx Plan1");
    assert_eq!(
        text,
        "José,two runs,in <line>\n1234.5,2024-12-31,TRUE\n0.3,2024-12-31T12:00:00,#REF!\n\n,\"a\rb\",2024-01-31\n"
    );
}

#[test]
fn cells_and_rows_without_their_place_follow_each_other() {
    let rows = "<row><c><v>1</v></c><c><v>2</v></c></row><row><c r=\"B2\"><v>3</v></c></row><row r=\"4\"><c><v>4</v></c></row>";
    assert_eq!(text(&one(rows)), "1,2\n,3\n\n4,\n");
    // Those that hold nothing keep their places.
    let rows = "<row><c/><c><v>1</v></c><c t=\"str\"><v></v></c></row><row><c r=\"B2\" s=\"1\"/><c><v>2</v></c></row>";
    assert_eq!(text(&one(rows)), ",1,\n,,2\n");
}

#[test]
fn identifiers_keep_their_zeros() {
    let styles = "<styleSheet><numFmts><numFmt numFmtId=\"165\" formatCode=\"00000000000\"/></numFmts>\
                  <cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"165\"/></cellXfs></styleSheet>";
    let rows = "<row><c s=\"1\"><v>1234567890</v></c><c s=\"1\"><v>123456789012</v></c><c s=\"1\"><v>1.5</v></c><c s=\"1\"><v>-7</v></c></row>";
    let text = text(&workbook(&[("a", "", rows)], "", "", styles));
    assert_eq!(text, "01234567890,123456789012,1.5,-7\n");
}

#[test]
fn a_digit_that_was_altered_is_found() {
    let book = one("<row><c><v>1234567</v></c></row>");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(book)).unwrap();
    // The same, with its parts as they are.
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut stored = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in &names {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        stored.start_file(name.as_str(), options).unwrap();
        std::io::copy(&mut zip.by_name(name).unwrap(), &mut stored).unwrap();
    }
    let mut bytes = stored.finish().unwrap().into_inner();
    assert_eq!(text(&bytes), "1234567\n");
    let at = bytes.windows(7).position(|seven| seven == b"1234567").unwrap();
    bytes[at] = b'9';
    assert!(read(&bytes).unwrap_err().contains("is damaged or was cut off"));
}

#[test]
fn days_of_old_macs_are_four_years_later() {
    let styles = "<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>";
    let row = "<row><c s=\"1\"><v>44195</v></c></row>";
    for properties in ["<workbookPr date1904=\"1\"/>", "<workbookPr date1904=\"true\"/>"] {
        assert_eq!(text(&workbook(&[("a", "", row)], properties, "", styles)), "2024-12-31\n");
    }
    assert_eq!(text(&workbook(&[("a", "", row)], "<workbookPr/>", "", styles)), "2020-12-30\n");
}

#[test]
fn the_only_sheet_that_is_shown_and_has_rows_is_meant() {
    let (row, none) = ("<row><c><v>1</v></c></row>", "<row><c/></row>");
    let of = |sheets: &[(&str, &str, &str)]| workbook(sheets, "", "", "<styleSheet/>");
    let hidden = "state=\"hidden\"";
    assert_eq!(read(&of(&[("a", hidden, row), ("b", "", none), ("c", "", row)])).unwrap().0, "xlsx c");
    let two = of(&[("Jan", "", row), ("Fev &amp; Mar", "", row), ("x", "state=\"veryHidden\"", row)]);
    let said = read(&two).unwrap_err();
    assert_eq!(said, "the workbook has 2 sheets with rows: Jan, Fev & Mar. Send sheet= with one of them");
    for (wanted, source) in [("Fev & Mar", "xlsx Fev & Mar"), ("jan", "xlsx Jan"), ("#3", "xlsx x")] {
        assert_eq!(read_as(&two, sheet(wanted), LIMITS).unwrap().0, source);
    }
    let said = read_as(&two, sheet("Abr"), LIMITS).unwrap_err();
    assert_eq!(said, "the workbook has no sheet 'Abr'; it has Jan, Fev & Mar, x");
    assert_eq!(read(&of(&[("a", "", none)])).unwrap_err(), "the workbook has no visible sheet with rows");
    assert_eq!(read(&of(&[])).unwrap_err(), "the workbook has no visible sheet with rows");
    let said = read_as(&two, crate::entry("a.csv"), LIMITS).unwrap_err();
    assert_eq!(said, "the file is a workbook, and entry= is of ZIP archives: send sheet=");
}

#[test]
fn numbers_are_written_as_the_texts_beside_them_or_as_was_said() {
    let rows = "<row><c t=\"inlineStr\"><is><t>1.234,56</t></is></c><c><v>7.5</v></c></row>";
    assert_eq!(text(&one(rows)), "\"1.234,56\",\"7,5\"\n");
    let rows = "<row><c><v>7.5</v></c><c><v>8</v></c></row>";
    let comma = Wanted { decimal: Some(Decimal::Comma), ..Wanted::default() };
    assert_eq!(read_as(&one(rows), comma, LIMITS).unwrap().1, "\"7,5\",8\n");
}

#[test]
fn what_is_not_as_it_should_be_is_refused() {
    for (rows, said) in [
        ("<row><c t=\"s\"><v>9</v></c></row>", "it has no text 9"),
        ("<row><c r=\"B1\"><v>1</v></c><c r=\"A1\"><v>1</v></c></row>", "a cell of row 1 comes twice"),
        ("<row r=\"2\"><c><v>1</v></c></row><row r=\"2\"/>", "row 2 comes twice"),
        ("<row><c><v>&own;</v></c></row>", "it has an entity &own;"),
        ("<row><c></row>", "is damaged"),
        ("<row r=\"99999999999\"><c><v>1</v></c></row>", "the sheet has more than 16777216 rows"),
        ("<row><c r=\"XFD1\"><v>1</v></c></row>", "a row of the sheet has 16384 columns: 100 are allowed"),
        ("<row><c r=\"ZZZZZZZZ1\"><v>1</v></c></row>", "columns: 100 are allowed"),
    ] {
        let found = read(&one(rows)).unwrap_err();
        assert!(found.contains(said), "{rows}: {found}");
    }
}

#[test]
fn bombs_are_stopped() {
    let long = "x".repeat(9 << 20);
    let found = read(&one(&format!("<row><c t=\"str\"><v>{long}</v></c></row>"))).unwrap_err();
    assert!(found.contains("more than"), "{found}");
    let strings: String = (0..20_000).map(|n| format!("<si><t>{n:0100}</t></si>")).collect();
    let book = workbook(&[("a", "", "<row><c t=\"s\"><v>0</v></c></row>")], "", &strings, "<styleSheet/>");
    let few = Limits { max_shared_strings: 1 << 20, ..LIMITS };
    let found = read_as(&book, Wanted::default(), few).unwrap_err();
    assert_eq!(found, "the workbook's texts are larger than 1048576 bytes: save it as CSV and send that");
    assert!(read(&book).is_ok());
    let deep = format!("<row>{}", "<x>".repeat(300));
    assert!(read(&one(&deep)).unwrap_err().contains("more than 256 elements in each other"));
    let long = "<c t=\"s\"><v>0</v></c>".repeat(99);
    let strings = format!("<si><t>{}</t></si>", "y".repeat(500_000));
    let book = workbook(&[("a", "", &format!("<row>{long}</row>"))], "", &strings, "<styleSheet/>");
    assert_eq!(read(&book).unwrap_err(), "a row of the sheet has more than 16777216 bytes");
    // One text in many cells.
    let cell = "<c t=\"s\"><v>0</v></c>".repeat(50);
    let rows = format!("<row>{cell}</row>").repeat(1_000);
    let book = workbook(&[("a", "", &rows)], "", &format!("<si><t>{}</t></si>", "y".repeat(30_000)), "<styleSheet/>");
    let found = read_as(&book, Wanted::default(), LIMITS).unwrap_err();
    assert_eq!(found, "the sheet is larger than 67108864 bytes as text");
}
