//! The form in which a mail is hashed: RFC 6376, section 3.4, `relaxed`.

/// A mail's head, with the line end of its last header, and its body.
pub(super) fn split(raw: &[u8]) -> (&str, &[u8]) {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n").map_or(raw.len(), |at| at + 2);
    let body = raw.get(end + 2..).unwrap_or_default();
    (std::str::from_utf8(&raw[..end]).unwrap_or_default(), body)
}

/// The body: blanks at the ends of lines go, runs of them become one, empty lines at the end go.
pub(super) fn body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 2);
    let mut kept = 0;
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let begin = out.len();
        relax(line, &mut out);
        if out.len() > begin {
            kept = out.len() + 2;
        }
        out.extend_from_slice(b"\r\n");
    }
    out.truncate(kept);
    out
}

/// A line without blanks at its end, and with one for each run of them.
fn relax(line: &[u8], out: &mut Vec<u8>) {
    let mut blank = false;
    for byte in line {
        match byte {
            b' ' | b'\t' => blank = true,
            byte => {
                if std::mem::take(&mut blank) {
                    out.push(b' ');
                }
                out.push(*byte);
            }
        }
    }
}

/// The headers, each with its further lines, without the last line end.
fn headers(head: &str) -> impl DoubleEndedIterator<Item = &str> {
    let mut begins: Vec<usize> = vec![0];
    for (at, _) in head.match_indices("\r\n") {
        if head[at + 2..].starts_with(|c: char| c != ' ' && c != '\t') {
            begins.push(at + 2);
        }
    }
    let ends: Vec<usize> = begins.iter().skip(1).copied().chain([head.len()]).collect();
    begins
        .into_iter()
        .zip(ends)
        .map(|(begin, end)| head[begin..end].trim_end_matches("\r\n"))
        .collect::<Vec<_>>()
        .into_iter()
}

fn named<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let is = |header: &&str| header.split_once(':').is_some_and(|(given, _)| given.trim().eq_ignore_ascii_case(name));
    headers(head).rev().filter(is).collect()
}

pub(super) fn has(head: &str, name: &str) -> bool {
    !named(head, name).is_empty()
}

/// A header on one line, its name in small letters.
fn header(text: &str, out: &mut Vec<u8>) {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    out.extend_from_slice(name.trim_end().to_ascii_lowercase().as_bytes());
    out.push(b':');
    relax(value.replace("\r\n", "").trim_start_matches([' ', '\t']).as_bytes(), out);
}

/// What is signed: the headers named, from the last of each name upwards, then the signature's own without its value.
pub(super) fn header_hash_input(head: &str, names: &[&str], unsigned: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut taken = std::collections::HashMap::<String, usize>::new();
    for name in names {
        let nth = taken.entry(name.to_ascii_lowercase()).or_default();
        if let Some(text) = named(head, name).get(*nth) {
            header(text, &mut out);
            out.extend_from_slice(b"\r\n");
        }
        *nth += 1;
    }
    header(unsigned, &mut out);
    out
}
