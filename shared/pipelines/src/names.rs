//! Names of columns, as people write them.

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

use crate::{Kind, fields::trim, records::Record};

/// Whether a name in a file is the column's: blanks, line ends, `_`, `-`, `#` and `/` do not count, nor do accents and capitals.
pub(crate) fn same(column: &str, name: &str) -> bool {
    if column.eq_ignore_ascii_case(name) {
        return true;
    }
    if column.is_ascii() && name.is_ascii() {
        return letters(column).eq(letters(name));
    }
    plain(column) == plain(name)
}

fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes()
        .filter(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'_' | b'-' | b'#' | b'/'))
        .map(|byte| byte.to_ascii_lowercase())
}

/// A name without what does not count.
pub(crate) fn plain(name: &str) -> String {
    let is_kept = |char: &char| !char.is_whitespace() && !matches!(char, '_' | '-' | '#' | '/');
    // Most names are ASCII, which has no accents.
    if name.is_ascii() {
        return name.chars().filter(is_kept).map(|char| char.to_ascii_lowercase()).collect();
    }
    let is_accent = |char: &char| ('\u{300}'..='\u{36f}').contains(char);
    trim(name).nfkd().filter(|char| !is_accent(char) && is_kept(char)).flat_map(char::to_lowercase).collect()
}

/// A name for people: what nobody sees is shown by its number.
pub(crate) fn shown(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for char in name.chars() {
        match char {
            '"' | '\'' | '\\' => shown.push(char),
            char => shown.extend(char.escape_debug()),
        }
    }
    shown
}

/// What the columns are called by a header, without what nobody sees at the ends.
pub(crate) fn of(header: &Record<'_>) -> Vec<String> {
    header.fields().map(|name| trim(&String::from_utf8_lossy(name)).to_owned()).collect()
}

/// What is the same for the names of two headers that differ in what does not count only: case, blanks, accents, `_`, `-`, `#`, `/`. Their
/// order counts, as it does for who says `#3`.
pub fn fingerprint(names: &[String]) -> [u8; 32] {
    let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
    Sha256::digest(names.join("\u{1f}")).into()
}

/// Which of the names is most like the column's, if one is like it, or is a word for it.
pub(crate) fn nearest<'n>(kind: Kind, column: &str, names: &'n [String]) -> Option<&'n str> {
    const ALIKE: f64 = 0.6;
    /// An alias and something behind it: `VALOR (R$)`.
    const BEGINS: f64 = 0.9;
    const LONG: usize = 4;
    let wanted = plain(column);
    let aliases = aliases(kind, column);
    let likeness = |name: &String| {
        let name = plain(name);
        match () {
            () if aliases.contains(&name.as_str()) => 1.0,
            () if aliases.iter().any(|alias| alias.len() >= LONG && name.starts_with(alias)) => BEGINS,
            () => strsim::normalized_damerau_levenshtein(&wanted, &name),
        }
    };
    let (best, name) = names.iter().map(|name| (likeness(name), name)).max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best >= ALIKE).then_some(name.as_str())
}

/// The words that mean a column of a kind, too.
pub(crate) fn aliases(kind: Kind, column: &str) -> &'static [&'static str] {
    let place = kind.columns().iter().position(|of| *of == column);
    place.and_then(|place| kind.aliases().get(place)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{nearest, plain, same, shown};
    use crate::Kind;

    #[test]
    fn names_are_compared_by_their_letters() {
        for (column, name) in [
            ("debtAmount", "debt_amount"),
            ("debtAmount", "Debt Amount"),
            ("debtAmount", "DEBT-AMOUNT"),
            ("email", "E-mail"),
            ("email", "é-mail"),
            ("Plan/Group #", "plan_group"),
            ("Subscriber#", "Subscriber #"),
            ("service date", "ServiceDate"),
            ("report_id", "reportId"),
            ("debtAmount", "Debt\r\nAmount"),
        ] {
            assert!(same(column, name), "{column} {name}");
        }
        for (column, name) in [("debtAmount", "amount"), ("id", "debtId"), ("name", ""), ("name", "n.ame")] {
            assert!(!same(column, name), "{column} {name}");
        }
    }

    #[test]
    fn the_nearest_name_is_found() {
        let names = |header: &str| header.split(',').map(str::to_owned).collect::<Vec<_>>();
        let portuguese = names("nome,cpf,email,valor,vencimento,id");
        let near = |column| nearest(Kind::Debts, column, &portuguese);
        assert_eq!(near("name"), Some("nome"));
        assert_eq!(near("governmentId"), Some("cpf"));
        assert_eq!(near("debtAmount"), Some("valor"));
        assert_eq!(near("debtDueDate"), Some("vencimento"));
        assert_eq!(near("debtId"), Some("id"));
        assert_eq!(nearest(Kind::Debts, "debtAmount", &names("x,debtAmonut,y")), Some("debtAmonut"));
        assert_eq!(nearest(Kind::Debts, "debtAmount", &names("x,VALOR (R$)")), Some("VALOR (R$)"));
        assert_eq!(nearest(Kind::Debts, "debtAmount", &names("colour,size")), None);
    }

    #[test]
    fn a_word_for_a_column_means_no_other_one() {
        for kind in Kind::ALL {
            assert_eq!(kind.aliases().len(), kind.columns().len(), "{kind}");
            let columns = kind.columns().iter().map(|column| plain(column));
            let mut words: Vec<String> = columns.collect();
            for alias in kind.aliases().iter().copied().flatten() {
                assert_eq!(plain(alias), *alias, "{kind}");
                words.push((*alias).to_owned());
            }
            words.sort();
            let twice: Vec<_> = words.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(twice.is_empty(), "{kind}: {twice:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_shown() {
        assert_eq!(shown("a\u{200b}b\u{1b}[31m\0 \"é\""), "a\\u{200b}b\\u{1b}[31m\\0 \"é\"");
    }
}
