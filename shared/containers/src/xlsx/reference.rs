//! Where a cell is: `B7`.

/// Column and row of a reference, from 0; what is absent is `None`.
pub(super) fn place(reference: &str) -> (Option<usize>, Option<u64>) {
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (letters, digits) = reference.split_at(letters);
    let column = letters.bytes().try_fold(0_usize, |column, letter| {
        column.checked_mul(26)?.checked_add(usize::from(letter.to_ascii_uppercase() - b'A') + 1)
    });
    (column.and_then(|column| column.checked_sub(1)), digits.parse::<u64>().ok().and_then(|row| row.checked_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn places_count_from_nothing() {
        for (reference, column, row) in [
            ("A1", Some(0), Some(0)),
            ("b7", Some(1), Some(6)),
            ("Z1", Some(25), Some(0)),
            ("AA10", Some(26), Some(9)),
            ("XFD1048576", Some(16_383), Some(1_048_575)),
            ("", None, None),
            ("7", None, Some(6)),
            ("C", Some(2), None),
            ("A0", Some(0), None),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1", None, Some(0)),
        ] {
            assert_eq!(place(reference), (column, row), "{reference}");
        }
    }
}
