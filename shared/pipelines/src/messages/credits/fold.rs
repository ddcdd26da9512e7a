//! Palindromes: most texts are found out at their first letter and their last.

pub(super) fn is_palindrome_ascii(text: &[u8]) -> bool {
    let folded = |byte: &&u8| FOLDED[usize::from(**byte)] != 0;
    let mut letters = text.iter().filter(folded);
    let Some(first) = letters.next() else { return false };
    let mut rest = [first].into_iter().chain(letters);
    loop {
        match (rest.next(), rest.next_back()) {
            (Some(a), Some(b)) if FOLDED[usize::from(*a)] != FOLDED[usize::from(*b)] => return false,
            (Some(_), Some(_)) => {}
            _ => return true,
        }
    }
}

pub(super) fn is_palindrome(text: &str) -> bool {
    let folded = || text.chars().flat_map(char::to_lowercase).filter(|char| char.is_alphanumeric());
    folded().next().is_some() && folded().eq(folded().rev())
}

/// Letters in lower case and digits; 0 for all else.
const FOLDED: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};
