//! What was found in a file, for people.

use std::{fmt::Write as _, time::Duration};

use gristmill_pipelines::Checked;

use crate::client::{
    human::{count, duration, rate, short, table},
    rejects::Reject,
};

/// Rejects and rows shown.
const EXAMPLES: usize = 3;
/// Characters of a value or a message in a table.
const CHARS: usize = 60;

pub(super) fn told(checked: &Checked, took: Duration) -> String {
    let mut text = first_line(checked, took);
    text.push('\n');
    let _ = writeln!(text, "  read as {}", checked.dialect);
    for reject in checked.rejects.iter().take(EXAMPLES) {
        let _ = writeln!(text, "  {}", Reject::from(reject));
    }
    if !checked.reasons.is_empty() {
        let _ = write!(text, "\n{}", reasons(checked));
    }
    if !checked.sample.is_empty() {
        let _ = write!(text, "\n{}", rows(checked));
    }
    text
}

fn first_line(checked: &Checked, took: Duration) -> String {
    let Checked { read, good, rejected, blank, duplicate_in_file, .. } = checked;
    let mark = if checked.is_good() { '✓' } else { '✗' };
    let rows = if *read == 1 { "row" } else { "rows" };
    let speed = rate(*read, took).map(|rate| format!(" ({} rows/s)", count(rate))).unwrap_or_default();
    let duplicate = match duplicate_in_file {
        Some(duplicate) => format!("{} of them duplicate", count(*duplicate)),
        None => "too many to look for duplicates".to_owned(),
    };
    let blank = if *blank > 0 { format!(", {} blank", count(*blank)) } else { String::new() };
    format!(
        "{mark} {} {rows} in {}{speed}: {} good ({duplicate}), {} rejected{blank}",
        count(*read),
        duration(took),
        count(*good),
        count(*rejected),
    )
}

/// By their first faults.
fn reasons(checked: &Checked) -> String {
    let reasons = checked.reasons.iter().map(|reason| {
        let column = reason.column.unwrap_or_default().to_owned();
        let message = short(&reason.message, CHARS);
        [reason.code.to_string(), column, count(reason.rows), count(reason.first_line), message]
    });
    let head = ["REASON", "COLUMN", "ROWS", "FIRST LINE", "MESSAGE"];
    table(head, [false, false, true, true, false], &reasons.collect::<Vec<_>>())
}

/// The first good ones side by side: a column is a line.
fn rows(checked: &Checked) -> String {
    let shown: Vec<_> = checked.sample.iter().take(EXAMPLES).collect();
    let lines: [String; EXAMPLES] =
        std::array::from_fn(|n| shown.get(n).map(|row| format!("LINE {}", row.line)).unwrap_or_default());
    let value = |n: usize, column: &str| {
        let fields = shown.get(n).map(|row| row.fields.as_slice()).unwrap_or_default();
        let found = fields.iter().find(|(name, _)| *name == column);
        found.map(|(_, text)| short(text, CHARS)).unwrap_or_default()
    };
    let mut columns: Vec<&str> = Vec::new();
    for (column, _) in shown.iter().flat_map(|row| &row.fields) {
        if !columns.contains(column) {
            columns.push(column);
        }
    }
    let values =
        columns.iter().map(|&column| [column.to_owned(), value(0, column), value(1, column), value(2, column)]);
    table(["COLUMN", &lines[0], &lines[1], &lines[2]], [false; 4], &values.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use gristmill_pipelines::{Check, Kind, Limits, Rules, Said};

    use super::*;

    fn checked(file: &str) -> Checked {
        let mut check = Check::new(Kind::Debts, Said::default(), Limits::default(), Rules::default());
        check.push(file.as_bytes()).unwrap();
        check.finish().unwrap()
    }

    const GOOD: &str = "name;governmentId;email;debtAmount;debtDueDate;debtId\n\
        Ana Lima;9558;ana@example.com;10.50;2030-01-31;00000000-0000-0000-0000-000000000001\n";

    #[test]
    fn a_good_file_is_shown_as_it_was_read() {
        let text = told(&checked(GOOD), Duration::from_millis(1));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "✓ 1 row in 0.00 s (1,000 rows/s): 1 good (0 of them duplicate), 0 rejected");
        assert!(lines[1].starts_with("  read as utf-8, separated by ;"), "{text}");
        assert_eq!(lines[2..4], ["", "COLUMN        LINE 2"]);
        assert!(lines.contains(&"debtAmount    10.50") && lines.len() == 10, "{text}");
    }

    #[test]
    fn what_is_wrong_is_shown_by_reasons() {
        let file = format!("{GOOD}Ana;1;none;x;2030-01-31;00000000-0000-0000-0000-000000000002\n;;;;;\n");
        let text = told(&checked(&file), Duration::ZERO);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "✗ 2 rows in 0.00 s: 1 good (0 of them duplicate), 1 rejected, 1 blank");
        assert!(lines[2].starts_with("  line 3  bad_email  email  "), "{text}");
        assert!(lines[3].trim_start().starts_with("bad_amount  debtAmount  "), "{text}");
        assert_eq!(lines[5], "REASON     COLUMN  ROWS  FIRST LINE  MESSAGE", "{text}");
        assert!(lines[6].starts_with("bad_email  email      1           3  email is "), "{text}");
    }
}
