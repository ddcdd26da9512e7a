//! Which texts are addresses that mail can go to.

/// Characters of an address.
pub(crate) const MAX_ADDRESS: usize = 254;
/// Bytes of what stands before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// Bytes of a label of a domain, and of a domain (RFC 1035, 2.3.4), as they are looked up.
const MAX_LABEL: usize = 63;
const MAX_DOMAIN: usize = 253;

/// Whether mail can go to it, as far as its form tells: words between single dots (RFC 5321's `Dot-string`, with RFC
/// 6531's characters), one `@`, and the name of a host with a dot in it, whose last label is not a number. What
/// the RFCs allow beyond that nobody has: quoted words, comments, address literals.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.chars().count() <= MAX_ADDRESS && is_form(text.as_bytes())
}

/// `text` is UTF-8.
pub(crate) fn is_form(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| *byte == b'@') else { return false };
    let (local, domain) = (&text[..at], &text[at + 1..]);
    is_local(local) && if domain.is_ascii() { is_domain(domain) } else { is_international(domain) }
}

fn is_local(local: &[u8]) -> bool {
    if local.is_empty() || local.len() > MAX_LOCAL {
        return false;
    }
    let mut before = b'.';
    for byte in local {
        let known = CLASS[usize::from(*byte)];
        if known == NONE || (*byte == b'.' && before == b'.') {
            return false;
        }
        before = *byte;
    }
    before != b'.' && (local.is_ascii() || seen(local))
}

/// Labels of letters, digits and hyphens, none at a label's ends; the last one is not a number.
fn is_domain(domain: &[u8]) -> bool {
    if domain.len() > MAX_DOMAIN {
        return false;
    }
    let (mut start, mut labels, mut number) = (0, 0, true);
    for (place, byte) in domain.iter().enumerate() {
        match CLASS[usize::from(*byte)] {
            LETTER => number = false,
            DIGIT => {}
            _ if *byte == b'-' => number = false,
            _ if *byte == b'.' && is_label(&domain[start..place]) => {
                (start, labels, number) = (place + 1, labels + 1, true);
            }
            _ => return false,
        }
    }
    labels > 0 && !number && is_label(&domain[start..])
}

fn is_label(label: &[u8]) -> bool {
    (1..=MAX_LABEL).contains(&label.len()) && label.first() != Some(&b'-') && label.last() != Some(&b'-')
}

/// Letters of other alphabets: what is looked up is their form in ASCII (RFC 5891).
#[cold]
fn is_international(domain: &[u8]) -> bool {
    let Ok(domain) = std::str::from_utf8(domain) else { return false };
    // other alphabets' full stops are dots to those who look names up, and not to mail servers
    let dots = ['\u{3002}', '\u{ff0e}', '\u{ff61}'];
    !domain.contains(dots)
        && seen(domain.as_bytes())
        && idna::domain_to_ascii_strict(domain).is_ok_and(|ascii| is_domain(ascii.as_bytes()))
}

/// Nothing in it is a blank, a control character, or a mark that nobody sees.
#[cold]
fn seen(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    !text.chars().any(|char| {
        char.is_whitespace()
            || char.is_control()
            || matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}')
    })
}

const NONE: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
/// What may stand in a local part and not in a domain; the dot and the hyphen are looked at where they count.
const OTHER: u8 = 3;

const CLASS: [u8; 256] = {
    let mut class = [NONE; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b'.'
            | b'!'
            | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'/'
            | b'='
            | b'?'
            | b'^'
            | b'_'
            | b'`'
            | b'{'
            | b'|'
            | b'}'
            | b'~'
            | 0x80..=0xff => OTHER,
            _ => NONE,
        };
        byte += 1;
    }
    class
};

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn addresses() {
        for text in [
            "janet95@example.com",
            "a@b.c",
            "josé@exämple.com.br",
            "ana@例え.jp",
            "ana@xn--exmple-cua.com",
            "x+y=z@sub.example.org",
            "o'neil@example.com",
            "ana!#$%&*/=?^_`{|}~@example.com",
            "-@example.com",
            "=cmd@example.com",
            "a@1.example.2com",
            "ANA@EXAMPLE.COM",
            &format!("{}@example.com", "x".repeat(64)),
            &format!("a@{}.com", "b".repeat(63)),
        ] {
            assert!(is_address(text), "{text}");
        }
        for text in [
            "",
            "@",
            "a@",
            "@b.c",
            "a@b",
            "a@@b.c",
            "a@b@c.d",
            "a b@c.d",
            "a@b .c",
            "a@b..c",
            "a@.b.c",
            "a@b.c.",
            "a\t@b.c",
            "a@b.c\u{7f}",
            "a\u{a0}b@c.d",
            "ü\u{85}@c.d",
            "<ana@example.com>",
            "Ana <ana@example.com>",
            "mailto:ana@example.com",
            "a..b@example.com",
            ".ana@example.com",
            "ana.@example.com",
            "ana@-example.com",
            "ana@example-.com",
            "ana(comment)@example.com",
            "ana@example.com(comment)",
            "ana@[127.0.0.1]",
            "ana@[IPv6:::1]",
            "ana@127.0.0.1",
            "ana@123.456",
            "ana@exam_ple.com",
            "\"quoted\"@example.com",
            "\"ana@example.com\"",
            "ana\\@example.com",
            "ana@example.com;bia@example.com",
            "ana@example.com,bia@example.com",
            "ana@example.com\r\nBcc: x@example.com",
            "ana@example.com%0aBcc:x@example.com",
            "ana\u{200b}@example.com",
            "ana\u{202e}@example.com",
            "ana@exam\u{200b}ple.com",
            "ana@ex\u{ad}ample.com",
            "ana@example。com",
            "ana@é..com",
            "ana@-é.com",
            &format!("{}@example.com", "x".repeat(65)),
            &format!("{}@example.com", "é".repeat(33)),
            &format!("a@{}.com", "b".repeat(64)),
            &format!("a@{}.com", "é".repeat(60)),
            &format!("a@{0}.{0}.{0}.{0}.com", "b".repeat(62)),
        ] {
            assert!(!is_address(text), "{text:?}");
        }
    }
}
