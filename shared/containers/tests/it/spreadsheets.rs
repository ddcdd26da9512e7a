//! Spreadsheets of LibreOffice.

use crate::{LIMITS, Wanted, read, read_as, sheet, text, zip};

const MIMETYPE: &[u8] = b"application/vnd.oasis.opendocument.spreadsheet";

fn book(tables: &str) -> Vec<u8> {
    let content = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content xmlns:office=\"o\" xmlns:table=\"t\" xmlns:text=\"x\">\
         <office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
    );
    zip(&[("mimetype", MIMETYPE), ("content.xml", content.as_bytes()), ("META-INF/manifest.xml", b"<x/>")])
}

fn table(name: &str, rows: &str) -> String {
    format!("<table:table table:name=\"{name}\"><table:table-column/>{rows}</table:table>")
}

const ROW: &str = "<table:table-row><table:table-cell><text:p>1</text:p></table:table-cell></table:table-row>";

#[test]
fn cells_are_what_they_are_typed_as() {
    let rows = "<table:table-header-rows><table:table-row>\
        <table:table-cell office:value-type=\"string\"><text:p>a<text:s text:c=\"2\"/>b &amp; <text:span>c</text:span></text:p><text:p>d</text:p></table:table-cell>\
        <table:table-cell office:value-type=\"float\" office:value=\"1234.5\"><text:p>1.234,50</text:p></table:table-cell>\
        </table:table-row></table:table-header-rows>\
        <table:table-row table:number-rows-repeated=\"2\"><table:table-cell table:number-columns-repeated=\"3\"/></table:table-row>\
        <table:table-row>\
        <table:table-cell office:value-type=\"date\" office:date-value=\"2024-01-31T00:00:00\"><text:p>31/01/24</text:p></table:table-cell>\
        <table:covered-table-cell/>\
        <table:table-cell office:value-type=\"boolean\" office:boolean-value=\"true\"><text:p>VERDADEIRO</text:p></table:table-cell>\
        <table:table-cell table:number-columns-repeated=\"1021\"/></table:table-row>\
        <table:table-row table:number-rows-repeated=\"2\"><table:table-cell table:number-columns-repeated=\"2\"><office:annotation><text:p>note</text:p></office:annotation><text:p>x</text:p></table:table-cell></table:table-row>\
        <table:table-row table:number-rows-repeated=\"1048570\"><table:table-cell table:number-columns-repeated=\"1024\"/></table:table-row>";
    let (source, text) = read(&book(&table("Plan1", rows))).unwrap();
    assert_eq!(source, "ods Plan1");
    assert_eq!(text, "\"a  b & c\nd\",1234.5,\n\n\n2024-01-31,,TRUE\nx,x,\nx,x,\n");
}

#[test]
fn one_of_several_is_asked_for_and_can_be_said() {
    let empty = table("c", "<table:table-row><table:table-cell/></table:table-row>");
    let two = book(&(table("Jan", ROW) + &table("Fev", &ROW.replace('1', "2")) + &empty));
    assert_eq!(
        read(&two).unwrap_err(),
        "the spreadsheet has 2 sheets with rows: Jan, Fev. Send sheet= with one of them"
    );
    assert_eq!(read_as(&two, sheet("fev"), LIMITS).unwrap(), ("ods Fev".to_owned(), "2\n".to_owned()));
    assert_eq!(read(&book(&(empty.clone() + &table("x", ROW)))).unwrap().0, "ods x");
    assert_eq!(read(&book(&empty)).unwrap_err(), "the spreadsheet has no visible sheet with rows");
    let said = read_as(&two, crate::entry("a.csv"), LIMITS).unwrap_err();
    assert_eq!(said, "the file is a spreadsheet, and entry= is of ZIP archives: send sheet=");
}

#[test]
fn what_is_not_shown_does_not_count() {
    let styles = "<office:automatic-styles><style:style style:name=\"ta1\"><style:table-properties table:display=\"true\"/></style:style>\
                  <style:style style:name=\"ta2\"><style:table-properties table:display=\"false\"/></style:style></office:automatic-styles>";
    let styled = |name: &str, style: &str| {
        format!("<table:table table:name=\"{name}\" table:style-name=\"{style}\">{ROW}</table:table>")
    };
    let both = book(&(styles.to_owned() + &styled("a", "ta2") + &styled("b", "ta1")));
    assert_eq!(read(&both).unwrap().0, "ods b");
    assert_eq!(read_as(&both, sheet("a"), LIMITS).unwrap().0, "ods a");
    let hidden = book(&(styles.to_owned() + &styled("a", "ta2")));
    assert_eq!(read(&hidden).unwrap_err(), "the spreadsheet has no visible sheet with rows");
}

#[test]
fn what_is_drawn_on_a_sheet_is_none_of_its_rows() {
    let drawn = table("inner", ROW);
    let rows = format!("<table:shapes><draw:frame>{drawn}</draw:frame></table:shapes>{ROW}");
    let text = text(&book(&table("a", &rows)));
    assert_eq!(text, "1\n");
    let said =
        "<table:table-row><table:table-cell office:value-type=\"string\" office:string-value=\"x\"/></table:table-row>";
    assert_eq!(read_as(&book(&table("a", said)), sheet("a"), LIMITS).unwrap().1, "x\n");
    let far = "<table:table-row><table:table-cell table:number-columns-repeated=\"300\"/><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row>";
    assert!(read(&book(&table("a", far))).unwrap_err().contains("a row of the sheet has 301 columns"));
}

#[test]
fn what_is_repeated_has_bounds() {
    let cell = "<table:table-cell table:number-columns-repeated=\"16384\"><text:p>x</text:p></table:table-cell>";
    let wide = format!("<table:table-row table:number-rows-repeated=\"1048576\">{cell}</table:table-row>");
    let said = read(&book(&table("a", &wide))).unwrap_err();
    assert!(said.contains("columns: 100 are allowed"), "{said}");
    let cell = format!("<table:table-cell><text:p>{}</text:p></table:table-cell>", "y".repeat(1_000));
    let long = format!("<table:table-row table:number-rows-repeated=\"1048576\">{cell}</table:table-row>");
    let said = read(&book(&table("a", &long))).unwrap_err();
    assert_eq!(said, "the sheet is larger than 67108864 bytes as text");
    let times = "<table:table-row table:number-rows-repeated=\"99999999999999\"><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row>";
    let said = read(&book(&table("a", times))).unwrap_err();
    assert_eq!(said, "the sheet has more than 16777216 rows");
    assert_eq!(read_as(&book(&table("a", ROW)), Wanted::default(), LIMITS).unwrap().1, "1\n");
}

#[test]
fn what_is_not_as_it_should_be_is_refused() {
    let no_content = zip(&[("mimetype", MIMETYPE)]);
    assert!(read(&no_content).unwrap_err().contains("it has no part content.xml"));
    assert!(read(&book("<table:table table:name=\"a\"><table:table-row>")).unwrap_err().contains("damaged"));
    assert_eq!(text(&book(&table("a", &format!("<table:table-row-group>{ROW}</table:table-row-group>")))), "1\n");
}
