use crate::{LIMITS, Limits, Wanted, entry, read, read_as, sheet, zip};

const CSV: &[u8] = b"a,b\n1,2\n";

fn refused(bytes: &[u8], wanted: Wanted) -> String {
    read_as(bytes, wanted, LIMITS).unwrap_err()
}

#[test]
fn the_only_file_of_rows_is_read_as_it_is() {
    let csv = String::from_utf8(CSV.to_vec()).unwrap();
    for files in [
        &[("debts.csv", CSV)][..],
        &[("2024/", b""), ("2024/debts.csv", CSV), ("__MACOSX/2024/._debts.csv", b"x"), (".DS_Store", b"x")],
        &[("debts.csv", CSV), ("note.pdf", b"%PDF-1.7")],
    ] {
        let (source, text) = read(&zip(files)).unwrap();
        assert!(source.ends_with("debts.csv"), "{source}");
        assert_eq!(text, csv);
    }
    let empty = read(&zip(&[("debts.csv", b"")])).unwrap();
    assert_eq!(empty, ("zip debts.csv".to_owned(), String::new()));
    // More than is handed on at a time.
    let large: Vec<u8> = (0..300_000_u32).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    assert_eq!(read(&zip(&[("x.csv", &large)])).unwrap().1.into_bytes(), large);
}

#[test]
fn one_of_several_is_asked_for_and_can_be_said() {
    let two = zip(&[("b.csv", b"2"), ("a.csv", b"1"), ("x.pdf", b"3")]);
    let said = refused(&two, Wanted::default());
    assert_eq!(said, "the ZIP archive has 2 files: a.csv, b.csv. Send entry= with one of them");
    assert_eq!(read_as(&two, entry("b.csv"), LIMITS).unwrap().1, "2");
    assert_eq!(refused(&two, entry("c.csv")), "the ZIP archive has no entry 'c.csv'; it has a.csv, b.csv, x.pdf");
    assert_eq!(refused(&two, sheet("Jan")), "the file is a ZIP archive, and sheet= is of workbooks: send entry=");
    let names: Vec<String> = (0..25).map(|n| format!("{n:02}.csv")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), CSV)).collect();
    let said = refused(&zip(&many), Wanted::default());
    assert!(said.contains("has 25 files: 00.csv") && said.contains("19.csv and 5 more"), "{said}");
}

#[test]
fn what_is_no_table_is_named() {
    let inner = zip(&[("a.csv", CSV)]);
    for (files, said) in [
        (&[][..], "the ZIP archive is empty"),
        (&[("x.pdf", CSV)], "the ZIP archive has no file of rows, but x.pdf"),
        (&[("in.zip", &inner)], "the ZIP archive's in.zip is another archive or a workbook: send that itself"),
        (&[("a.csv.gz", b"\x1f\x8b\x08\0")], "the ZIP archive's a.csv.gz is compressed once more: unpack it"),
        (
            &[("[Content_Types].xml", b""), ("word/document.xml", b"")],
            "the file is a Word document (.docx): save the table as .xlsx or CSV and send that",
        ),
        (
            &[("[Content_Types].xml", b""), ("xl/workbook.bin", b"")],
            "the file is a binary workbook of Excel (.xlsb): save it as .xlsx or CSV and send that",
        ),
        (
            &[("mimetype", b"application/vnd.oasis.opendocument.text")],
            "the file is a document of OpenDocument (text), not a spreadsheet: save the table as .ods, .xlsx or CSV",
        ),
        (
            &[("Index/Document.iwa", b"")],
            "the file is an Apple Numbers document: export it as CSV or Excel and send that",
        ),
    ] {
        assert_eq!(refused(&zip(files), Wanted::default()), said);
    }
}

#[test]
fn what_is_encrypted_is_said_to_be() {
    let mut bytes = zip(&[("a.csv", CSV)]);
    // The bit of the local header, and of the directory's.
    bytes[6] |= 1;
    let directory = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    bytes[directory + 8] |= 1;
    assert_eq!(refused(&bytes, Wanted::default()), "the archive's a.csv is encrypted: unpack it and send the file");
}

#[test]
fn names_in_the_characters_of_dos_are_read() {
    let mut bytes = zip(&[("marco.csv", CSV)]);
    let places: Vec<usize> =
        bytes.windows(9).enumerate().filter(|(_, nine)| *nine == b"marco.csv").map(|(at, _)| at).collect();
    places.into_iter().for_each(|at| bytes[at + 3] = 0x87);
    assert_eq!(read(&bytes).unwrap().0, "zip março.csv");
    assert_eq!(read_as(&bytes, entry("março.csv"), LIMITS).unwrap().1.as_bytes(), CSV);
}

#[test]
fn what_is_packed_otherwise_is_said_to_be() {
    let mut bytes = zip(&[("a.csv", CSV)]);
    bytes[8] = 12;
    let directory = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    bytes[directory + 10] = 12;
    let said = refused(&bytes, Wanted::default());
    assert!(said.starts_with("the archive's a.csv is packed in a way that is not read ("), "{said}");
}

#[test]
fn bombs_are_stopped() {
    let zeros = vec![b'0'; 32 << 20];
    let said = refused(&zip(&[("a.csv", &zeros)]), Wanted::default());
    assert_eq!(said, "the archive's a.csv becomes more than 200 times as large when it is unpacked: send it unpacked");
    let few = Limits { max_text_bytes: 1_000, ..LIMITS };
    let said = read_as(&zip(&[("a.csv", &zeros[..2_000])]), Wanted::default(), few).unwrap_err();
    assert_eq!(said, "the archive's a.csv has more than 1000 bytes, unpacked");
    let names: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), CSV)).collect();
    let said = read_as(&zip(&many), Wanted::default(), Limits { max_entries: 29, ..LIMITS }).unwrap_err();
    assert_eq!(said, "the archive has 30 files: 29 are allowed");
}

#[test]
fn files_that_share_bytes_are_refused() {
    // The directory has the same file twice, under two names.
    let mut bytes = zip(&[("a.csv", CSV), ("b.csv", CSV)]);
    let starts: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, four)| *four == b"PK\x01\x02").map(|(at, _)| at).collect();
    let local = bytes[starts[0] + 42..starts[0] + 46].to_vec();
    bytes[starts[1] + 42..starts[1] + 46].copy_from_slice(&local);
    let said = refused(&bytes, entry("a.csv"));
    assert!(said.contains("overlap") || said.contains("damaged"), "{said}");
}

#[test]
fn a_wrong_checksum_is_found() {
    let stored = vec![b'x'; 1_000];
    let mut bytes = zip(&[("a.csv", &stored)]);
    let directory = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    bytes[directory + 16] ^= 1;
    let said = refused(&bytes, Wanted::default());
    assert!(said.contains("is damaged or was cut off"), "{said}");
}
