//! PIX keys, as the central bank's directory keeps them.

use crate::documents;

/// The key in the form in which banks register it; `None` when it can be none of theirs. CPF, CNPJ and phone may be written
/// with points, dashes, slashes, brackets and blanks, which go; letters of mail addresses and random keys become small ones.
///
/// A CPF has 11 digits, a CNPJ 14 places (letters too), both with right check digits; a phone is `+55`, area and number; a
/// random key is a UUID. See the *Manual Operacional do DICT* of the Banco Central do Brasil.
pub fn registered(key: &str) -> Option<String> {
    let key = key.trim();
    if key.contains('@') {
        return mail(key);
    }
    if let Some(rest) = key.strip_prefix('+') {
        let digits = bare(rest)?;
        let fits = digits.starts_with("55") && (12..=13).contains(&digits.len());
        return (fits && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| format!("+{digits}"));
    }
    if let Some(random) = uuid(key) {
        return Some(random);
    }
    let document = bare(key)?.to_ascii_uppercase();
    (documents::is_cpf(&document) || documents::is_cnpj(&document)).then_some(document)
}

fn mail(key: &str) -> Option<String> {
    let (local, domain) = key.rsplit_once('@')?;
    let fits = key.len() <= 77 && !local.is_empty() && !local.contains('@') && domain.contains('.');
    let fits = fits && domain.split('.').all(|part| !part.is_empty());
    (fits && key.bytes().all(|byte| byte.is_ascii_graphic())).then(|| key.to_ascii_lowercase())
}

fn uuid(key: &str) -> Option<String> {
    let groups: Vec<&str> = key.split('-').collect();
    let right = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]);
    (right && key.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())).then(|| key.to_ascii_lowercase())
}

/// Without what is written for the eye; `None` when something else than letters and digits is left.
fn bare(key: &str) -> Option<String> {
    let bare: String = key.chars().filter(|character| !" .-/()".contains(*character)).collect();
    bare.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::registered;

    #[test]
    fn keys_are_written_as_they_are_registered() {
        for (written, kept) in [
            ("123.456.789-09", "12345678909"),
            ("52998224725", "52998224725"),
            ("11.222.333/0001-81", "11222333000181"),
            ("12.abc.345/01de-35", "12ABC34501DE35"),
            ("+55 (11) 99999-8888", "+5511999998888"),
            ("+551133334444", "+551133334444"),
            ("FINANCEIRO@ACUCAR.COM.BR", "financeiro@acucar.com.br"),
            ("123E4567-E12B-12D1-A456-426655440000", "123e4567-e12b-12d1-a456-426655440000"),
        ] {
            assert_eq!(registered(written).as_deref(), Some(kept), "{written}");
        }
    }

    #[test]
    fn what_no_bank_knows_is_no_key() {
        for wrong in [
            "",
            "11999998888",
            "123.456.789-10",
            "111.111.111-11",
            "11222333000182",
            "5511999998888",
            "+5511",
            "+1 202 555 0100",
            "ana@localhost",
            "ana@.br",
            "a@b@example.com",
            "ana maria@example.com",
            "123e4567e12b12d1a456426655440000",
            "123e4567-e12b-12d1-a456-42665544000g",
            "minha chave",
        ] {
            assert_eq!(registered(wrong), None, "{wrong}");
        }
    }
}
