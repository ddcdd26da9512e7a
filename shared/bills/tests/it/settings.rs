use gristmill_bills::{
    Bill, BillFacts, Money, Settings,
    rails::{Payment, RailError},
};
use jiff::civil::date;

use crate::support::{BARCODE, LINE, facts, settings};

#[test]
fn a_bill_offers_the_rails_of_its_currency() {
    let settings = settings();
    let names = |bill: &Bill| {
        let payments = serde_json::to_value(&bill.payments).unwrap();
        payments
            .as_array()
            .unwrap()
            .iter()
            .map(|payment| payment["rail"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut facts = facts();
    assert_eq!(names(&settings.bill(facts.clone()).unwrap()), ["pix", "boleto"]);
    facts.amount = Money::eur(124_020);
    assert_eq!(names(&settings.bill(facts.clone()).unwrap()), ["epc"]);
    facts.amount.currency = "CHF".parse().unwrap();
    assert_eq!(settings.bill(facts.clone()), Err(RailError::NoneIn(facts.amount.currency)));
    let nothing = Settings { boleto: None, pix: None, epc: None, ..settings.clone() };
    assert_eq!(names(&nothing.bill(facts.clone()).unwrap()), [""; 0], "the page says to arrange it");
    let rail = settings.rails().next().unwrap();
    assert_eq!(rail.payload(&facts), Err(RailError::Currency { rail: "pix", currency: facts.amount.currency }));
}

#[test]
fn a_rail_that_cannot_carry_a_bill_leaves_the_others() {
    let kinds = |facts: BillFacts| {
        let ways = settings().payments(&facts)?;
        Ok::<_, RailError>(ways.iter().map(|way| matches!(way, Payment::Boleto(_))).collect::<Vec<_>>())
    };
    // R$ 100,000,000.00 has eleven digits, a boleto ten.
    assert_eq!(kinds(BillFacts { amount: Money::brl(10_000_000_000), ..facts() }), Ok(vec![false]));
    assert_eq!(kinds(BillFacts { due_on: date(2050, 1, 1), ..facts() }), Ok(vec![false]));
    assert_eq!(kinds(facts()), Ok(vec![false, true]));
    let minor = 1_000_000_000_000;
    let refused = kinds(BillFacts { amount: Money::brl(minor), ..facts() });
    assert_eq!(refused, Err(RailError::Amount { rail: "pix", minor }), "no one carries it");
}

#[test]
fn a_boletos_page_has_its_numbers() {
    let bill = settings().bill(facts()).unwrap();
    let Some(Payment::Boleto(slip)) = bill.payments.last() else { panic!("a boleto: {bill:?}") };
    assert_eq!((slip.barcode.as_str(), slip.linha_digitavel.as_str()), (BARCODE, LINE));
    assert_eq!((slip.account.as_str(), slip.wallet.as_str()), ("0448 / 110580", "05"));
    assert_eq!(slip.our_number, "61686237936");
}

#[test]
fn the_codes_ask_for_what_is_still_to_be_paid() {
    let facts = |paid_minor| BillFacts { paid_minor, ..facts() };
    let codes = |facts: BillFacts| settings().bill(facts).unwrap().payments;
    let rest = BillFacts { amount: Money::brl(84_020), ..facts(0) };
    assert_eq!(codes(facts(40_000)), codes(rest), "as those of a bill of the rest");
    for paid in [124_020, 130_000] {
        assert_eq!((facts(paid).rest().minor, facts(paid).asked()), (0, facts(0).amount));
        assert_eq!(codes(facts(paid)), codes(facts(0)), "a bill that is paid keeps its codes");
    }
}

#[test]
fn both_survive_json() {
    let settings = settings();
    let text = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    let bill = settings.bill(facts()).unwrap();
    let text = serde_json::to_string(&bill).unwrap();
    assert_eq!(serde_json::from_str::<Bill>(&text).unwrap(), bill);
}

#[test]
fn wrong_settings_are_refused_where_they_are_read() {
    let mut json = serde_json::to_value(settings()).unwrap();
    json["boleto"]["agency"] = "44-8".into();
    let error = serde_json::from_value::<Settings>(json).unwrap_err();
    assert!(error.to_string().contains("agency"), "{error}");
}
