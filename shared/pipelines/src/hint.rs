//! Why a header is none: what the beginning of the file looks like instead.

use crate::{
    lines::BYTE_ORDER_MARK,
    names::{same, shown},
};

/// Lines among which a header is looked for.
const LINES: usize = 30;

const DELIMITERS: [(char, &str); 4] = [(',', "commas"), (';', "semicolons (;)"), ('\t', "tabs"), ('|', "pipes (|)")];

/// What is wrong with a file that begins so and whose first line does not name `columns`: what was found, and what to do.
pub(crate) fn hint(head: &[u8], columns: &[&str]) -> Option<String> {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let text = String::from_utf8_lossy(head);
    let lines: Vec<&str> = text.split('\n').take(LINES).collect();
    let first = lines.iter().position(|line| !line.trim().is_empty())?;
    if let Some(what) = json_over_lines(lines[first]) {
        return Some(what);
    }
    let sep = lines[first].trim().trim_matches('"').to_ascii_lowercase().strip_prefix("sep=").map(shown);
    let from = first + usize::from(sep.is_some());
    let (line, delimiter) = (from..lines.len()).find_map(|line| Some((line, delimiter(lines[line], columns)?)))?;
    let commas = if delimiter == ',' { None } else { name_of(delimiter) };
    Some(match (sep, commas) {
        (Some(sep), None) => format!("line {} is 'sep={sep}', which only Excel reads: remove it", first + 1),
        (Some(sep), Some(found)) => format!(
            "line {} is 'sep={sep}', which only Excel reads, and the fields are separated by {found}: remove that line, and \
             separate the fields by commas",
            first + 1
        ),
        (None, Some(found)) if line == first => {
            format!("the fields are separated by {found}: separate them by commas, with a point in amounts")
        }
        (None, found) if line > first => {
            let also =
                found.map(|found| format!(", with fields separated by {found} instead of commas")).unwrap_or_default();
            format!(
                "line {} is not the header; line {} looks like it{also}: remove what stands before it",
                first + 1,
                line + 1
            )
        }
        _ => return None,
    })
}

/// What is wrong with a file that begins so, if it is JSON over several lines.
pub(crate) fn json(head: &[u8]) -> Option<String> {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
    json_over_lines(&String::from_utf8_lossy(&head[..memchr::memchr(b'\n', head).unwrap_or(head.len())]))
}

fn json_over_lines(first: &str) -> Option<String> {
    // a carriage return alone ends a line too
    match first.trim().split('\r').next().unwrap_or_default().trim_end() {
        "{" => Some(one_json("object", "without line ends inside of it")),
        "[" => Some(one_json("array", "without brackets around them and commas between them")),
        _ => None,
    }
}

fn one_json(what: &str, how: &str) -> String {
    format!("this is one JSON {what} over several lines: send one object a line (NDJSON), {how}")
}

fn name_of(delimiter: char) -> Option<&'static str> {
    DELIMITERS.iter().find(|(char, _)| *char == delimiter).map(|(_, name)| *name)
}

/// By what a line is to be cut so that at least half of the columns, and two, are among its parts.
fn delimiter(line: &str, columns: &[&str]) -> Option<char> {
    let found = |delimiter: char| {
        let parts: Vec<&str> = line.split(delimiter).map(|part| part.trim().trim_matches('"').trim()).collect();
        columns.iter().filter(|column| parts.iter().any(|part| same(column, part))).count()
    };
    let (delimiter, most) =
        DELIMITERS.map(|(delimiter, _)| (delimiter, found(delimiter))).into_iter().max_by_key(|(_, n)| *n)?;
    (most >= 2 && 2 * most >= columns.len()).then_some(delimiter)
}

#[cfg(test)]
mod tests {
    use super::hint;

    const COLUMNS: &[&str] = &["name", "governmentId", "email", "debtAmount", "debtDueDate", "debtId"];

    fn said(head: &str) -> String {
        hint(head.as_bytes(), COLUMNS).unwrap_or_default()
    }

    #[test]
    fn what_was_found_is_named() {
        for (delimiter, name) in [(";", "semicolons (;)"), ("\t", "tabs"), ("|", "pipes (|)")] {
            let head = COLUMNS.join(delimiter);
            let told = said(&format!("\u{feff}{head}\r\nAna;1"));
            assert!(told.starts_with(&format!("the fields are separated by {name}: ")), "{told}");
        }
        let header = COLUMNS.join(",");
        assert_eq!(
            said(&format!("Banco Exemplo S.A.\nRelatório;emitido 01/02/2026\n\n{header}\nAna,1")),
            "line 1 is not the header; line 4 looks like it: remove what stands before it"
        );
        let told = said(&format!("\n\nBanco\n{}\n", COLUMNS.join(";")));
        assert!(
            told.starts_with("line 3 is not the header; line 4 looks like it, with fields separated by semicolons"),
            "{told}"
        );
        assert_eq!(said(&format!("sep=,\n{header}")), "line 1 is 'sep=,', which only Excel reads: remove it");
        let told = said(&format!("\"SEP=;\"\r\n{}\r\n", COLUMNS.join(";")));
        assert!(told.contains("which only Excel reads, and the fields are separated by semicolons (;)"), "{told}");
        for (head, what) in [("{\n", "object"), ("\u{feff}\n \t{ \r\n  \"name\": 1\n}", "object"), (" [\n{}]", "array")]
        {
            let told = said(head);
            assert!(
                told.starts_with(&format!("this is one JSON {what} over several lines: send one object a line")),
                "{told}"
            );
        }
        for head in ["", "\n\n", "a,b,c\n1,2,3", "nome;cpf\n", "name;x\n", "sep=;\nAna;1"] {
            assert_eq!(said(head), "", "{head}");
        }
    }
}
