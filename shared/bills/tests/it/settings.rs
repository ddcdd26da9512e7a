use gristmill_bills::{
    Bill, BillFacts, Money, Settings,
    rails::{Payment, RailError},
};
use jiff::{ToSpan as _, civil::date};

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
    assert_eq!(
        refused.clone().unwrap_err().to_string(),
        "a pix carries 0.01 to 9999999999.99, and the bill asks for 10000000000.00"
    );
    assert_eq!(refused, Err(RailError::Amount { rail: "pix", minor, most: 999_999_999_999 }), "no one carries it");
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
    for (paid, over) in [(124_020, 0), (130_000, 5_980)] {
        assert_eq!((facts(paid).rest().minor, facts(paid).overpaid().minor), (0, over));
        assert_eq!(codes(facts(paid)), [], "a bill that is paid asks for nothing");
    }
    assert_eq!(codes(BillFacts { cancelled: true, ..facts(0) }), [], "and neither does one that is cancelled");
}

#[test]
fn a_boleto_is_made_only_where_a_bank_reads_its_due_date() {
    let kinds = |due_on, issued_on| {
        let ways = settings().payments(&BillFacts { due_on, issued_on, ..facts() }).unwrap();
        ways.iter().map(|way| matches!(way, Payment::Boleto(_))).collect::<Vec<_>>()
    };
    let issued = date(2026, 11, 28);
    // Its factor, 7026, would be read as 2041-08-23.
    assert_eq!(kinds(date(2017, 1, 1), issued), [false], "it is left to PIX");
    for (days, readable) in [(-3001, false), (-3000, true), (0, true), (5500, true), (5501, false)] {
        let due = issued + days.days();
        assert_eq!(kinds(due, issued).contains(&true), readable, "{days} days: {due}");
    }
    let alone = Settings { pix: None, ..settings() };
    let facts = BillFacts { due_on: date(2017, 1, 1), issued_on: issued, ..facts() };
    let refused = alone.payments(&facts);
    assert_eq!(refused, Err(RailError::Unreadable { due_on: facts.due_on, issued_on: issued }));
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

#[test]
fn what_is_asked_of_a_million_bills_is_what_their_codes_say() {
    let limits =
        [1, 9_999_999_999, 10_000_000_000, 99_999_999_999, 100_000_000_000, 999_999_999_999, 1_000_000_000_000];
    let one = |keep: &str| {
        let mut ways = settings();
        ways.boleto = ways.boleto.filter(|_| keep == "boleto");
        ways.pix = ways.pix.filter(|_| keep == "pix");
        ways.epc = ways.epc.filter(|_| keep == "epc");
        ways
    };
    for ways in [settings(), one("boleto"), one("pix"), one("epc"), one("none")] {
        for (minor, currency) in limits.iter().flat_map(|minor| [(*minor, "BRL"), (*minor, "EUR"), (*minor, "USD")]) {
            for (paid_minor, due_on) in
                [(0, facts().due_on), (minor - 1, facts().due_on), (minor, facts().due_on), (0, date(2050, 1, 1))]
            {
                let amount = Money { minor, currency: currency.parse().unwrap() };
                let facts = BillFacts { amount, paid_minor, due_on, ..facts() };
                let payable = facts.is_over() || ways.payments(&facts).is_ok_and(|codes| !codes.is_empty());
                assert_eq!(ways.carry(&facts), payable, "{facts:?}");
            }
        }
    }
}
