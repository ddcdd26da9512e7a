//! Days as people read them.

use jiff::civil::Date;

use crate::Language;

const PORTUGUESE: [&str; 12] = [
    "janeiro",
    "fevereiro",
    "março",
    "abril",
    "maio",
    "junho",
    "julho",
    "agosto",
    "setembro",
    "outubro",
    "novembro",
    "dezembro",
];
const SPANISH: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];

/// For tables and columns: `01/11/2008`, and `1 Nov 2008` in English, where day and month would be mixed up.
pub fn short(date: Date, language: Language) -> String {
    match language {
        Language::Portuguese | Language::Spanish => {
            format!("{:02}/{:02}/{:04}", date.day(), date.month(), date.year())
        }
        Language::English => date.strftime("%-d %b %Y").to_string(),
    }
}

/// For sentences: `1º de novembro de 2008`, `1 November 2008`, `1 de noviembre de 2008`.
pub fn long(date: Date, language: Language) -> String {
    let (day, year) = (date.day(), date.year());
    match language {
        Language::Portuguese => {
            let ordinal = if day == 1 { "º" } else { "" };
            format!("{day}{ordinal} de {} de {year}", month(date, &PORTUGUESE))
        }
        Language::English => date.strftime("%-d %B %Y").to_string(),
        Language::Spanish => format!("{day} de {} de {year}", month(date, &SPANISH)),
    }
}

fn month(date: Date, names: &[&'static str; 12]) -> &'static str {
    names[usize::from(date.month().unsigned_abs()) - 1]
}
