//! Names as they are compared: without accents, capitals and punctuation, words apart by one blank.

use unicode_normalization::UnicodeNormalization;

/// Folds a name into words. What joins a word (`'`, `’`, `.` within letters of one) goes, other punctuation parts words.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        text.chars().for_each(|char| push(&mut folded, char.to_ascii_lowercase()));
    } else {
        for char in text.nfkd().filter(|char| !is_mark(*char)).flat_map(char::to_lowercase) {
            match char {
                'ß' => folded.push_str("ss"),
                'ø' => folded.push('o'),
                'æ' => folded.push_str("ae"),
                'œ' => folded.push_str("oe"),
                'ł' => folded.push('l'),
                'đ' => folded.push('d'),
                'ı' => folded.push('i'),
                char => push(&mut folded, char),
            }
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

fn push(folded: &mut String, char: char) {
    if char.is_alphanumeric() {
        folded.push(char);
    } else if !matches!(char, '\'' | '’' | '`' | '´') && !folded.is_empty() && !folded.ends_with(' ') {
        folded.push(' ');
    }
}

/// Combining diacritical marks.
fn is_mark(char: char) -> bool {
    matches!(char, '\u{300}'..='\u{36f}')
}

/// The same without blanks: `wal mart` is `walmart`.
pub(super) fn compact(folded: &str) -> String {
    folded.chars().filter(|char| *char != ' ').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded() {
        for (name, folded) in [
            ("McDonald's", "mcdonalds"),
            ("Pão de Açúcar", "pao de acucar"),
            ("H&M", "h m"),
            ("  7-Eleven ", "7 eleven"),
            ("Føtex / Bilka!", "fotex bilka"),
            ("屈臣氏", "屈臣氏"),
            ("***", ""),
        ] {
            assert_eq!(fold(name), folded);
        }
        assert_eq!(compact("wal mart"), "walmart");
    }
}
