//! Names for systems that know ASCII only.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// `text` in printable ASCII, at most `max` characters: accents go, a few letters become two, what is left over is
/// dropped; blanks become one.
pub(super) fn ascii(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for character in text.nfd().filter(|character| !is_combining_mark(*character)) {
        match character {
            ' '..='~' if character != ' ' => out.push(character),
            _ if character.is_whitespace() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            _ => out.push_str(letters(character)),
        }
    }
    out.truncate(max);
    out.truncate(out.trim_end().len());
    out
}

/// Letters that do not decompose.
fn letters(character: char) -> &'static str {
    match character {
        'ß' => "ss",
        'æ' => "ae",
        'Æ' => "AE",
        'œ' => "oe",
        'Œ' => "OE",
        'ø' => "o",
        'Ø' => "O",
        'ł' => "l",
        'Ł' => "L",
        'đ' | 'ð' => "d",
        'Đ' | 'Ð' => "D",
        'þ' => "th",
        'Þ' => "Th",
        'ı' => "i",
        'ª' => "a",
        'º' => "o",
        '\u{2018}' | '\u{2019}' => "'",
        '\u{201c}' | '\u{201d}' => "\"",
        '\u{2010}'..='\u{2015}' => "-",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::ascii;

    #[test]
    fn accents_go_and_length_is_kept() {
        assert_eq!(ascii("  Açaí & Cia.\u{a0}Ltda ", 25), "Acai & Cia. Ltda");
        assert_eq!(ascii("São João del-Rei", 15), "Sao Joao del-Re");
        assert_eq!(ascii("Straße Łódź 東京", 25), "Strasse Lodz");
        assert_eq!(ascii("Companhia de Águas e Esgotos", 25), "Companhia de Aguas e Esgo");
        assert_eq!(ascii("Empresa Brasileira do Rio Grande", 23), "Empresa Brasileira do R");
        assert_eq!(ascii("東京", 25), "");
    }
}
