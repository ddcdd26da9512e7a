//! Columns under each other.

use std::{io::IsTerminal as _, iter::once};

use crate::say::plain_line;

/// How far the further lines of a row stand in.
const INDENT: usize = 2;

/// Columns under each other; `right` says which are numbers. On a terminal that is too narrow for them, those that do not
/// fit stand on further lines.
pub(crate) fn table<const N: usize>(head: [&str; N], right: [bool; N], rows: &[[String; N]]) -> String {
    folded(head, right, rows, terminal_width())
}

/// The same, each row on one line, however long.
pub(super) fn unfolded<const N: usize>(head: [&str; N], right: [bool; N], rows: &[[String; N]]) -> String {
    folded(head, right, rows, usize::MAX)
}

/// In characters; a file or another program takes lines of any length.
fn terminal_width() -> usize {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return usize::MAX;
    }
    // A terminal that does not know its width says 0.
    rustix::termios::tcgetwinsize(&stdout).ok().map(|size| size.ws_col.into()).filter(|n| *n > 0).unwrap_or(usize::MAX)
}

fn folded<const N: usize>(head: [&str; N], right: [bool; N], rows: &[[String; N]], width: usize) -> String {
    let rows: Vec<[String; N]> =
        rows.iter().map(|row| row.each_ref().map(|cell| plain_line(cell).into_owned())).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or_default()
    });
    let first_of_line = folds(&widths, width);
    let mut text = String::new();
    for row in once(&head.map(str::to_owned)).chain(&rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if first_of_line[column] && column > 0 {
                text += line.trim_end();
                text.push('\n');
                line = " ".repeat(INDENT);
            }
            let width = widths[column];
            line += &if right[column] { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Which columns begin a line, so that none is longer than the terminal if a column is not.
fn folds<const N: usize>(widths: &[usize; N], width: usize) -> [bool; N] {
    let mut end = 0_usize;
    widths.map(|column| {
        let folds = end > 0 && end + 2 + column > width;
        end = match (folds, end) {
            (true, _) => INDENT + column,
            (false, 0) => column,
            (false, _) => end + 2 + column,
        };
        folds
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_written() {
        let rows = [["x\u{1b}]0;y\u{7}".to_owned(), "1".to_owned()], ["José 日本".to_owned(), "22".to_owned()]];
        let text = table(["NAME", "N"], [false, true], &rows);
        assert_eq!(text, "NAME                N\nx\\u001b]0;y\\u0007   1\nJosé 日本            22\n");
        assert_eq!(crate::say::plain(&text), text, "nothing is written anew");
    }

    #[test]
    fn columns() {
        let rows = [["a".to_owned(), "1".to_owned()], ["bcd".to_owned(), "22".to_owned()]];
        assert_eq!(table(["NAME", "N"], [false, true], &rows), "NAME   N\na      1\nbcd   22\n");
    }

    #[test]
    fn what_does_not_fit_stands_on_a_further_line() {
        let rows = [["a".repeat(8), "b".to_owned(), "1".to_owned()], ["c".to_owned(), "d".repeat(6), "22".to_owned()]];
        let of = |width| folded(["NAME", "STATE", "N"], [false, false, true], &rows, width);
        assert_eq!(of(20), "NAME      STATE    N\naaaaaaaa  b        1\nc         dddddd  22\n");
        assert_eq!(of(19), "NAME      STATE\n   N\naaaaaaaa  b\n   1\nc         dddddd\n  22\n");
        assert_eq!(of(10), "NAME\n  STATE\n   N\naaaaaaaa\n  b\n   1\nc\n  dddddd\n  22\n");
        assert_eq!(of(usize::MAX), of(20));
        assert_eq!(unfolded(["NAME", "STATE", "N"], [false, false, true], &rows), of(20));
    }
}
