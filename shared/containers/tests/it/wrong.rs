//! Bytes that are no file: an error each, and never a panic or a wrong text.

use proptest::prelude::*;
use rust_xlsxwriter::Workbook;

use crate::{LIMITS, Wanted, read, read_as, zip};

fn small() -> Vec<u8> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for row in 0..5 {
        sheet.write(row, 0, format!("name {row}")).unwrap();
        sheet.write(row, 1, f64::from(row) + 0.5).unwrap();
    }
    book.save_to_buffer().unwrap()
}

#[test]
fn what_was_cut_off_is_refused() {
    let files = [small(), zip(&[("a.csv", b"a,b\n1,2\n3,4\n")])];
    for file in files {
        assert!(read(&file).is_ok());
        for end in 0..file.len() {
            assert!(read(&file[..end]).is_err(), "{end} of {}", file.len());
        }
    }
}

proptest! {
    #[test]
    fn what_was_altered_is_refused_or_read(at in any::<prop::sample::Index>(), by in 1..=255_u8, more in any::<Vec<u8>>()) {
        for mut file in [small(), zip(&[("a.csv", b"a,b\n1,2\n3,4\n")])] {
            let at = at.index(file.len());
            file[at] ^= by;
            let _ = read(&file);
            file.extend_from_slice(&more);
            let _ = read_as(&file, Wanted { sheet: Some("#1".to_owned()), ..Wanted::default() }, LIMITS);
        }
    }

    #[test]
    fn any_xml_is_refused_or_read(xml in "(<(/?)(row|c|v|is|t|sheetData|table-row|table-cell|p)( (r|t|s|number-columns-repeated)=\"[A-Z0-9]{0,3}\")?/?>|[a-z0-9&;]{0,4}){0,30}") {
        let parts: [&[(&str, &[u8])]; 2] = [
            &[("[Content_Types].xml", b""), ("xl/workbook.xml", xml.as_bytes()), ("xl/sharedStrings.xml", xml.as_bytes())],
            &[("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", xml.as_bytes())],
        ];
        for files in parts {
            let _ = read(&zip(files));
        }
    }
}
