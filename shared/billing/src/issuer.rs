//! What a client may say of how it is paid. What is stored is read with less severity, so that no bill loses its page.

use gristmill_bills::rails::{boleto, pix};
use gristmill_clients::{BadSetting, Settings};
use serde_json::Value;

use crate::issue;

/// What there is to be said, by the object that it is said in.
const KNOWN: [(&str, &[&str]); 5] = [
    ("", &["beneficiary", "boleto", "pix", "epc"]),
    ("beneficiary", &["name", "document", "email", "address"]),
    ("boleto", &["bank", "bank_name", "agency", "account", "wallet", "layout"]),
    ("pix", &["key", "name", "city"]),
    ("epc", &["iban", "name", "bic"]),
];

/// What is wrong with the issuer of these settings, which must be an object.
#[must_use]
pub fn faults(settings: &Settings) -> Vec<BadSetting> {
    let fault = |detail| BadSetting { field: "issuer", detail };
    if issue::is_sample(settings) {
        return Vec::new();
    }
    let mut faults: Vec<_> = unknown(&settings.issuer).into_iter().map(fault).collect();
    match issue::issuer(settings) {
        Err(error) => faults.push(fault(error.to_string())),
        Ok(issuer) => {
            faults.extend(no_rail(&issuer, &settings.currency).map(fault));
            faults.extend(no_key(&issuer));
            faults.extend(no_bank(&issuer));
        }
    }
    faults
}

/// Names that nothing is read from: a slip of the pen, which would go unnoticed until nobody can pay.
fn unknown(issuer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (place, known) in KNOWN {
        let object = if place.is_empty() { Some(issuer) } else { issuer.get(place) };
        for name in object.and_then(Value::as_object).into_iter().flat_map(|object| object.keys()) {
            if !known.contains(&name.as_str()) {
                let within = if place.is_empty() { "issuer" } else { place };
                found.push(format!("`{name}` is not known in {within}, where {} are", known.join(", ")));
            }
        }
    }
    found
}

/// A key that no bank knows would stand in every code.
fn no_key(issuer: &gristmill_bills::Settings) -> Option<BadSetting> {
    let key = &issuer.pix.as_ref()?.settings().key;
    if pix::registered(key).is_some() {
        return None;
    }
    let detail = format!(
        "'{key}' is no PIX key: it may be a CPF (11 digits) or a CNPJ (14 places) with right check digits, a phone such as \
         +5511999998888, a mail address, or a random key (a UUID)"
    );
    Some(BadSetting { field: "issuer.pix.key", detail })
}

/// The free field of a bank that is not known is laid out by the client, or wrongly.
fn no_bank(issuer: &gristmill_bills::Settings) -> Option<BadSetting> {
    let settings = issuer.boleto.as_ref()?.settings();
    if settings.layout.is_some() || boleto::SUPPORTED.iter().any(|(code, _)| *code == settings.bank) {
        return None;
    }
    let known: Vec<String> = boleto::SUPPORTED.iter().map(|(code, name)| format!("{code} {name}")).collect();
    let own = match settings.bank.as_str() {
        "077" => "Banco Inter gives its boletos their numbers itself, so they cannot be made here".to_owned(),
        bank => format!(
            "how bank {bank} lays out its boletos is not known here: write it as `layout`, if it has no check digits"
        ),
    };
    let detail = format!("{own}; known are {}", known.join(", "));
    Some(BadSetting { field: "issuer.boleto.bank", detail })
}

/// Bills without any rail ask the payer to arrange the payment; with one they must have a code of it.
fn no_rail(issuer: &gristmill_bills::Settings, currency: &str) -> Option<String> {
    let rails: Vec<_> = issuer.rails().collect();
    if rails.is_empty() || rails.iter().any(|rail| rail.currency().code() == currency) {
        return None;
    }
    let names: Vec<_> = rails.iter().map(|rail| format!("{} ({})", rail.name(), rail.currency())).collect();
    Some(format!(
        "{} cannot carry {currency}, the currency of these settings: add a way to be paid in it, or set another currency",
        names.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all() -> Value {
        json!({
            "beneficiary": { "name": "Acme", "document": "1", "email": "a@example.com", "address": ["Rua 1"] },
            "boleto": { "bank": "001", "bank_name": "BB", "agency": "1", "account": "1", "wallet": "17", "layout": boleto::LAYOUT },
            "pix": { "key": "a@example.com", "name": "Acme", "city": "Lisboa" },
            "epc": { "iban": "DE89370400440532013000", "name": "Acme", "bic": "COBADEFFXXX" },
        })
    }

    fn details(issuer: Value, currency: &str) -> Vec<String> {
        let settings = Settings { issuer, currency: currency.into(), ..Settings::default() };
        faults(&settings).into_iter().map(|fault| fault.detail).collect()
    }

    #[test]
    fn the_names_are_those_that_are_written() {
        let settings = Settings { issuer: all(), ..Settings::default() };
        let written = serde_json::to_value(issue::issuer(&settings).unwrap()).unwrap();
        for (place, known) in KNOWN {
            let object = if place.is_empty() { &written } else { &written[place] };
            let mut names: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
            let mut known = known.to_vec();
            names.sort_unstable();
            known.sort_unstable();
            assert_eq!(names, known, "{place}");
        }
    }

    #[test]
    fn slips_of_the_pen_are_named() {
        assert_eq!(details(all(), "BRL"), [""; 0]);
        let mut slip = all();
        slip["pixx"] = slip["pix"].take();
        slip["pix"] = Value::Null;
        slip["boleto"]["agencia"] = "1".into();
        let said = details(slip, "BRL");
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("`pixx` is not known in issuer, where beneficiary, "), "{said:?}");
        assert!(said[1].starts_with("`agencia` is not known in boleto, "), "{said:?}");
    }

    #[test]
    fn a_rail_must_be_in_the_currency() {
        let mut issuer = all();
        issuer["epc"] = Value::Null;
        assert_eq!(details(issuer.clone(), "BRL"), [""; 0]);
        let said = details(issuer.clone(), "EUR");
        assert!(said.len() == 1 && said[0].starts_with("pix (BRL) and boleto (BRL) cannot carry EUR"), "{said:?}");
        (issuer["pix"], issuer["boleto"]) = (Value::Null, Value::Null);
        assert_eq!(details(issuer, "EUR"), [""; 0], "who names no rail arranges it with the payer");
        assert_eq!(details(json!({}), "EUR"), [""; 0], "the sample");
    }

    #[test]
    fn a_key_that_no_bank_knows_is_named() {
        for (key, right) in [("123.456.789-09", true), ("+5511999998888", true), ("11999998888", false), ("x", false)] {
            let mut issuer = all();
            issuer["pix"]["key"] = key.into();
            let settings = Settings { issuer, ..Settings::default() };
            let fields: Vec<_> = faults(&settings).into_iter().map(|fault| fault.field).collect();
            assert_eq!(fields.is_empty(), right, "{key}: {fields:?}");
            assert!(right || fields == ["issuer.pix.key"], "{key}: {fields:?}");
        }
    }

    #[test]
    fn a_bank_that_is_not_known_needs_a_layout() {
        let mut issuer = all();
        issuer["boleto"]["bank"] = "422".into();
        assert_eq!(details(issuer.clone(), "BRL"), [""; 0], "its client has written the layout");
        issuer["boleto"].as_object_mut().unwrap().remove("layout");
        let said = details(issuer.clone(), "BRL");
        assert!(said.len() == 1 && said[0].contains("bank 422") && said[0].contains("341 Itaú"), "{said:?}");
        issuer["boleto"]["bank"] = "077".into();
        assert!(details(issuer, "BRL")[0].starts_with("Banco Inter gives its boletos their numbers itself"));
    }
}
