use super::*;
use crate::charset::source_len;

const SIZES: [usize; 6] = [1, 2, 3, 7, 4096, 1 << 20];

fn cut(file: &[u8], said: Option<(Charset, Sayer)>, size: usize) -> Result<(Vec<u8>, Decoded), CharsetError> {
    let (mut decode, mut text) = (Decode::new(said), Vec::new());
    file.chunks(size).try_for_each(|bytes| decode.push(bytes, |piece| text.extend_from_slice(piece)))?;
    let decoded = decode.finish(|piece| text.extend_from_slice(piece))?;
    Ok((text, decoded))
}

/// However it is cut.
fn read_as(file: &[u8], said: Option<(Charset, Sayer)>) -> Result<(Vec<u8>, Decoded), CharsetError> {
    let whole = cut(file, said, usize::MAX);
    for size in SIZES {
        assert_eq!(cut(file, said, size), whole, "by {size}");
    }
    whole
}

fn read(file: &[u8]) -> Result<(Vec<u8>, Decoded), CharsetError> {
    read_as(file, None)
}

fn in_1252(text: &str) -> Vec<u8> {
    encoding_rs::WINDOWS_1252.encode(text).0.into_owned()
}

fn utf16(text: &str, to: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to).collect()
}

const TEXT: &str = "name,x\r\nAna,1\r\nJosé Conceição,\"R$\u{a0}1,00\"\rÓrgão,5 €";

#[test]
fn the_text_is_what_was_written() {
    let bom = |bytes: &[u8], mark: &[u8]| [mark, bytes].concat();
    let (le, be) = (utf16(TEXT, u16::to_le_bytes), utf16(TEXT, u16::to_be_bytes));
    let marked = ["\u{feff}", TEXT].concat();
    for (file, name, text, line, evidence) in [
        (TEXT.as_bytes().to_vec(), "utf-8", TEXT, 3, "é"),
        (bom(TEXT.as_bytes(), b"\xef\xbb\xbf"), "utf-8", &marked, 1, "byte order mark"),
        (in_1252(TEXT), "windows-1252", TEXT, 3, "é"),
        (le.clone(), "utf-16le", TEXT, 1, "0x00 beside each letter"),
        (be.clone(), "utf-16be", TEXT, 1, "0x00 beside each letter"),
        (bom(&le, b"\xff\xfe"), "utf-16le", &marked, 1, "byte order mark"),
        (bom(&be, b"\xfe\xff"), "utf-16be", &marked, 1, "byte order mark"),
    ] {
        let (read, decoded) = read(&file).unwrap();
        assert_eq!(String::from_utf8(read.clone()).unwrap(), text, "{name}");
        assert_eq!(decoded.charset.name(), name);
        assert_eq!(decoded.evidence, Some(Example { line, value: evidence.to_owned() }), "{name}");
        assert_eq!(decoded.lines, 4, "{name}");
        assert_eq!(source_len(decoded.charset, &read), Some(file.len() as u64), "{name}");
    }
}

#[test]
fn ascii_is_utf8_and_waits_for_nothing() {
    let mut decode = Decode::new(None);
    let mut text = Vec::new();
    let file = b"name,x\nAna,1\n";
    decode.push(file, |piece| text.extend_from_slice(piece)).unwrap();
    assert_eq!(text, file);
    decode.push(b"Jos\xe9", |piece| text.extend_from_slice(piece)).unwrap();
    assert_eq!(text, [&file[..], b"Jos"].concat(), "a letter waits");
    for file in [&b""[..], b"n", b"name,x\nAna,1\n", b"a\0b\0\0", b"\0\0\0\0\0\0"] {
        let (text, decoded) = read(file).unwrap();
        assert_eq!((text.as_slice(), decoded.charset, decoded.evidence), (file, Charset::Utf8, None));
    }
}

#[test]
fn a_letter_is_found_wherever_it_stands() {
    let file = [&b"Ana Dias,1\n".repeat(500_000)[..], b"Jos\xe9,1\n"].concat();
    for size in [65_536, usize::MAX] {
        let (text, decoded) = cut(&file, None, size).unwrap();
        assert!(text.ends_with("José,1\n".as_bytes()));
        assert_eq!(decoded.evidence, Some(Example { line: 500_001, value: "é".to_owned() }));
    }
    let long = [&b"a,b\n"[..], &b"Jo\xe3o,1\n".repeat(300_000)].concat();
    let (text, decoded) = cut(&long, None, 10_000).unwrap();
    assert_eq!((text.len(), decoded.lines), (4 + 8 * 300_000, 300_001));
}

#[test]
fn what_has_no_meaning_is_never_another_letter() {
    let mut wide = utf16("a,b\nJosé,", u16::to_le_bytes);
    wide.extend(0xd800_u16.to_le_bytes());
    wide.extend(utf16("\nAna,2\n", u16::to_le_bytes));
    let (text, decoded) = read(&[&wide[..], b"x"].concat()).unwrap();
    assert_eq!(text, [&b"a,b\nJos\xc3\xa9,"[..], b"\xff\nAna,2\n\xff"].concat());
    assert!(decoded.half);
    assert_eq!(source_len(decoded.charset, &text), Some(wide.len() as u64 + 2), "one byte less: it is half a unit");
    let (text, decoded) = read(&[&wide[..], &0xd83d_u16.to_le_bytes()].concat()).unwrap();
    assert!(text.ends_with(b"2\n\xff") && !decoded.half);
    let said = |label| Some((Charset::of_label(label).unwrap(), Sayer::Parameter));
    assert_eq!(read_as(b"a\x81b\xe9", said("windows-1252")).unwrap().0, b"a\xffb\xc3\xa9");
    assert_eq!(read_as(b"a\xff\nb", said("gbk")).unwrap().0, b"a\xff\nb");
    assert_eq!(read(b"\xef\xbb\xbfa\xffb").unwrap().0, b"\xef\xbb\xbfa\xffb");
}

#[test]
fn what_was_said_is_believed() {
    let said = |label| Some((Charset::of_label(label).unwrap(), Sayer::ContentType));
    for (label, file) in [
        ("macintosh", &b"Jos\x8e"[..]),
        ("ibm850", b"Jos\x82"),
        ("iso-8859-1", b"Jos\xe9"),
        ("utf-16", b"J\0o\0s\0\xe9\0"),
        ("utf-16", b"\0J\0o\0s\0\xe9"),
        ("utf-16le", b"\xfe\xff\0J\0o\0s\0\xe9"),
        ("utf-8", b"Jos\xc3\xa9"),
        ("windows-1252", b"\xef\xbb\xbfJos\xc3\xa9"),
    ] {
        let (text, decoded) = read_as(file, said(label)).unwrap();
        assert_eq!(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text), "José".as_bytes(), "{label}");
        assert!(decoded.evidence.is_none() || label.starts_with("utf-16") || file[0] == 0xef, "{label}");
    }
    // two in one, and one of them was said: the lines of the other are refused
    let two = b"Jos\xc3\xa9\nJos\xe9\nJo\xe3o\n";
    assert_eq!(read_as(two, said("utf-8")).unwrap().0, two);
}

#[test]
fn what_is_not_certain_is_a_question() {
    let told = |file: &[u8], said| read_as(file, said).unwrap_err().to_string();
    assert_eq!(
        told(b"name\nJos\x8e\n", None),
        "The letters beyond ASCII are neither UTF-8 nor Windows-1252: byte 0x8E on line 2 stands between letters. Send \
         encoding= with its name (macintosh, ibm850, windows-1250, …), or save it as UTF-8."
    );
    assert!(told(b"name\n\xcf\xe5\xf2\xf0\n", None).contains("byte 0xCF on line 2 stands between letters"));
    assert!(told(b"name\n-\x81-\n", None).contains("byte 0x81 on line 2 has no meaning there"));
    assert_eq!(
        told(b"name\nJos\xc3\xa9\na\nb\nJos\xe9\nJo\xe3o\n", None),
        "The file has two encodings: line 2 is UTF-8 and line 5 is Windows-1252 (byte 0xE9). Save it as one, or send \
         encoding=."
    );
    let asks = read_as(b"name\nJos\x8e\n", None).unwrap_err().question();
    assert_eq!((asks.parameter, asks.examples), ("encoding", vec![Example { line: 2, value: "0x8E".to_owned() }]));
    let said = |label, by| Some((Charset::of_label(label).unwrap(), by));
    assert_eq!(
        told(b"name\nJos\xe9\n", said("utf-8", Sayer::ContentType)),
        "Content-Type says utf-8, but byte 0xE9 on line 2 is not: send the right charset, or none."
    );
    assert_eq!(
        told(b"name\nJos\xe9\n", said("utf-8", Sayer::Parameter)),
        "encoding= says utf-8, but byte 0xE9 on line 2 is not: send the right encoding, or none."
    );
    assert_eq!(
        told(b"n\0a\0m\0e\0", said("windows-1252", Sayer::ContentType)),
        "Content-Type says windows-1252, but the file is utf-16le: send the right charset, or none."
    );
}

#[test]
fn one_byte_a_letter_is_not_believed_of_utf8() {
    let said = |label, by| Some((Charset::of_label(label).unwrap(), by));
    for label in ["iso-8859-1", "windows-1250", "ibm850"] {
        let told = read_as("name\nJosé\n".as_bytes(), said(label, Sayer::ContentType)).unwrap_err().to_string();
        let name = Charset::of_label(label).unwrap();
        assert_eq!(told, format!("Content-Type says {name}, but the file is utf-8: send the right charset, or none."));
    }
    let long = "José,1\n".repeat(WINDOW / 8 + 1);
    assert!(
        cut(long.as_bytes(), said("latin1", Sayer::ContentType), 1001).is_err(),
        "its window ends in a letter or not"
    );
    for by in [Sayer::Parameter, Sayer::Profile] {
        assert_eq!(read_as("José".as_bytes(), said("iso-8859-1", by)).unwrap().0, "JosÃ©".as_bytes());
    }
    let content = said("iso-8859-1", Sayer::ContentType);
    let (text, decoded) = read_as(b"Jos\xc3\xa9\nJo\xe3o\n", content).unwrap();
    assert_eq!((text.as_slice(), decoded.evidence), ("JosÃ©\nJoão\n".as_bytes(), None));
    let (text, decoded) = read_as(b"name\nAna\n", content).unwrap();
    assert_eq!((text.as_slice(), decoded.charset), (&b"name\nAna\n"[..], Charset::Windows1252));
}

#[test]
fn a_file_behind_another_is_told_at_its_end() {
    let first = b"Jos\xe9 da Silva,1\r\n".repeat(100_000);
    let second = "José da Silva,1\r\n".repeat(10_000);
    let said = |file: &[u8]| {
        let whole = cut(file, None, usize::MAX).map_err(|error| error.to_string());
        assert_eq!(cut(file, None, 1001).map_err(|error| error.to_string()), whole);
        whole.map(|(_, decoded)| decoded.charset)
    };
    assert_eq!(
        said(&[&first, second.as_bytes()].concat()).unwrap_err(),
        "The file has two encodings: line 100001 is UTF-8 and line 1 is Windows-1252 (byte 0xE9). Save it as one, or send \
         encoding=."
    );
    let accident = &second.as_bytes()[..second.len() / 1_000];
    assert_eq!(said(&[&first, accident].concat()), Ok(Charset::Windows1252));
    assert_eq!(said(b"a\r\n\xc3O Jos\xe9 \xc3\xa9\r\n"), Ok(Charset::Windows1252));
}

#[test]
fn a_file_of_one_line_may_have_accidents_too() {
    let object = b"{\"name\":\"Jos\xe9 Jo\xe3o\"},";
    let first = object.repeat(60_000);
    let file = [&first[..], b"\xc3\xa9, \xc3\xa9"].concat();
    for size in [1001, usize::MAX] {
        assert_eq!(cut(&file, None, size).map(|(_, decoded)| decoded.charset), Ok(Charset::Windows1252));
    }
    let second = "José, ".repeat(10_000);
    assert!(cut(&[&first, second.as_bytes()].concat(), None, usize::MAX).is_err());
}

#[test]
fn other_letters_of_two_bytes_do_no_harm() {
    let text = "número,título\nJosé — “x” 😀\nŁódź,1\n";
    for file in [utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes)] {
        assert_eq!(read(&file).unwrap().0, text.as_bytes());
    }
}
