//! Takes out of a descriptor what is no name: what the acquirer puts before it, numbers, dates, places, domains.

use super::fold::fold;

/// What payment services and banks put before a merchant's name. Where only a `*` tells them from a name, it is written.
const PREFIXES: &[&str] = &[
    "sq *",
    "tst*",
    "tst *",
    "paypal *",
    "paypal*",
    "pp*",
    "pp *",
    "sp *",
    "sp ",
    "pos ",
    "pos debit ",
    "pos purchase ",
    "debit card purchase ",
    "debit purchase ",
    "purchase authorized on ",
    "checkcard ",
    "check card ",
    "recurring payment ",
    "recurring ",
    "payment to ",
    "payment ",
    "purchase ",
    "compra no debito ",
    "compra no débito ",
    "compra no credito ",
    "compra no crédito ",
    "compra cartao ",
    "compra cartão ",
    "compra com cartao ",
    "compra com cartão ",
    "compra ",
    "debito visa electron brasil ",
    "débito visa electron brasil ",
    "pix enviado",
    "pix recebido",
    "estorno de ",
    "estorno ",
    "parcela ",
    "parc. ",
    "parc ",
    "dl*",
    "dl *",
    "pg*",
    "pg *",
    "pg *ton ",
    "stone*",
    "stone *",
    "zp*",
    "zp *",
    "mercpago*",
    "mercpago *",
    "ebn*",
    "pagamento ",
    "pag*",
    "pag *",
    "pagseguro *",
    "ec *",
    "ebn *",
    "mp *",
    "mercadopago *",
    "iz *",
    "sumup *",
    "zettle_*",
    "zettle *",
    "cko*",
    "ppro *",
    "in *",
    "ic* ",
    "bt*",
    "fs *",
    "eb *",
    "py *",
    "wpy*",
    "ach ",
    "web pmt ",
    "visa ",
    "mastercard ",
    "card ",
    "klarna* ",
    "klarna *",
    "stripe *",
    "gpay *",
    "google pay ",
    "apple pay ",
    "lastschrift ",
    "kartenzahlung ",
    "cb ",
    "carte ",
    "paiement ",
];

/// Where a merchant is: states of the USA and of Brazil, and countries, as descriptors end with them.
const PLACES: &[&str] = &[
    "al", "ak", "az", "ar", "ca", "co", "ct", "de", "fl", "ga", "hi", "id", "il", "in", "ia", "ks", "ky", "la", "me",
    "md", "ma", "mi", "mn", "ms", "mo", "mt", "ne", "nv", "nh", "nj", "nm", "ny", "nc", "nd", "oh", "ok", "or", "pa",
    "ri", "sc", "sd", "tn", "tx", "ut", "vt", "va", "wa", "wv", "wi", "wy", "dc", "us", "usa", "gb", "gbr", "uk", "br",
    "bra", "deu", "fr", "fra", "es", "esp", "it", "ita", "nl", "nld", "pt", "prt", "ie", "irl", "lu", "lux", "se",
    "swe", "sp", "rj", "mg", "rs", "pr", "ba", "pe", "ce", "df", "go", "on", "qc", "bc", "ab", "can", "au", "aus",
    "nsw", "vic", "mx", "mex", "ch", "at", "be", "dk", "pl", "sg", "hk", "jp",
];

const MONTHS: &[&str] = &[
    "jan",
    "january",
    "feb",
    "february",
    "mar",
    "march",
    "apr",
    "april",
    "may",
    "jun",
    "june",
    "jul",
    "july",
    "aug",
    "august",
    "sep",
    "sept",
    "september",
    "oct",
    "october",
    "nov",
    "november",
    "dec",
    "december",
];

/// What ends a domain's name.
const DOMAINS: &[&str] = &[
    ".com.br", ".co.uk", ".com.au", ".com.mx", ".co.jp", ".com", ".net", ".org", ".io", ".co", ".us", ".eu", ".de",
    ".fr", ".es", ".it", ".nl", ".uk", ".br", ".ca", ".tv", ".app", ".ai", ".gg",
];

/// The words of the name, as [`fold`] writes them, and whether a place stood behind them.
pub(super) struct CleanName {
    pub(super) words: String,
    /// The same before numbers, places and suffixes went.
    pub(super) named: String,
    /// A state or country was taken off the end: what is before it may be a city.
    pub(super) placed: bool,
}

/// What is left of a descriptor when everything that is no name is taken out: lower case, without accents and
/// punctuation. Descriptors with the same rest have the same merchant.
pub fn clean(descriptor: &str) -> String {
    let cleaned = cleaned(descriptor, |_| false);
    if cleaned.placed { cleaned.words + " ," } else { cleaned.words }
}

/// `is_suffix` knows legal suffixes by their folded form.
pub(super) fn cleaned(descriptor: &str, is_suffix: impl Fn(&str) -> bool) -> CleanName {
    let lower = descriptor.trim().to_lowercase();
    let mut rest = lower.as_str();
    loop {
        let before = rest;
        if let Some(after) = longest_prefix(rest) {
            rest = after.trim_start_matches(|char: char| !char.is_alphanumeric());
        }
        rest = strip_leading_date(rest);
        if rest == before {
            break;
        }
    }
    let named = fold(rest);
    let tokens: Vec<&str> = rest
        .split(|char: char| char.is_whitespace() || matches!(char, '*' | ',' | ';' | '|' | '(' | ')' | '_'))
        .collect();
    let mut words: Vec<String> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let first = words.is_empty();
        if token.is_empty() || is_noise(token, first) {
            continue;
        }
        let word = fold(domain(unnumbered(token)));
        if !word.is_empty() && words.last() != Some(&word) && (first || !MONTHS.contains(&&*word)) {
            words.push(word);
        }
    }
    let mut placed = false;
    while words.len() > 1 && words.last().is_some_and(|word| PLACES.contains(&&**word)) {
        words.pop();
        placed = true;
    }
    while words.len() > 1 && words.last().is_some_and(|word| is_suffix(word)) {
        words.pop();
    }
    CleanName { words: words.join(" "), named, placed }
}

fn longest_prefix(rest: &str) -> Option<&str> {
    let found = PREFIXES.iter().filter_map(|prefix| rest.strip_prefix(prefix));
    found.min_by_key(|after| after.len()).filter(|after| after.contains(char::is_alphanumeric))
}

/// `04/12 `, `0412 ` and `12apr ` before a name.
fn strip_leading_date(rest: &str) -> &str {
    match rest.split_once(' ') {
        Some((first, after))
            if first.len() >= 4
                && first.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'/' | b'-' | b'.'))
                && after.contains(char::is_alphabetic) =>
        {
            after.trim_start()
        }
        _ => rest,
    }
}

/// Numbers of shops, telephones, cards and orders; dates.
fn is_noise(token: &str, first: bool) -> bool {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let letters = token.chars().filter(|char| char.is_alphabetic()).count();
    if letters == 0 {
        // `99` and `365` can begin a name; what follows one with more digits cannot.
        return digits == 0 && token != "&" || !first || digits > 3 || token.starts_with('#');
    }
    if digits == 0 {
        return !first && token.len() >= 4 && token.bytes().all(|byte| byte == b'x');
    }
    // f1234, t-1234, xxxx1234, store#12, 2k4l9x1
    let tail = token.trim_start_matches(|char: char| char.is_alphabetic() || matches!(char, '#' | '-' | '.'));
    if letters >= 3 && tail.len() == digits && digits >= 6 {
        return false;
    }
    let numbered = tail.len() == digits && digits >= 3 && letters <= 2;
    !first && (numbered || token.starts_with("xx") || token.starts_with('#') || digits >= 2 && token.len() >= 5)
}

/// `air0012345678901`: a ticket's number without a blank before it.
fn unnumbered(token: &str) -> &str {
    let name = token.trim_end_matches(|char: char| char.is_ascii_digit());
    if token.len() - name.len() >= 6 && name.len() >= 3 { name } else { token }
}

/// A domain's name without `www.`, its end and its path.
fn domain(token: &str) -> &str {
    let mut name = token;
    for scheme in ["https://", "http://", "www."] {
        name = name.strip_prefix(scheme).unwrap_or(name);
    }
    if let Some((host, _)) = name.split_once('/').filter(|(host, _)| host.contains('.')) {
        name = host;
    }
    match DOMAINS.iter().find_map(|end| name.strip_suffix(end)) {
        Some(host) if !host.is_empty() => host,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_goes() {
        for (descriptor, rest) in [
            ("SQ *BLUE BOTTLE COFFEE 4421 OAKLAND CA", "blue bottle coffee oakland ,"),
            ("PURCHASE AUTHORIZED ON 04/12 STARBUCKS STORE #1234", "starbucks store"),
            ("Payment Netflix APRIL***", "netflix"),
            ("PAYPAL *SPOTIFY 402-935-7733", "spotify"),
            ("PAYPAL", "paypal"),
            ("WWW.ZALANDO.DE/ORDER", "zalando"),
            ("TST* Joe's Café - Soho XXXX1234", "joes cafe soho"),
            ("7-ELEVEN 33211", "7 eleven"),
            ("365 MARKET", "365 market"),
            ("AMZN Mktp US*2K4L96PZ3", "amzn mktp ,"),
            ("4421 0098", ""),
            ("", ""),
        ] {
            assert_eq!(clean(descriptor), rest, "{descriptor}");
        }
    }
}
