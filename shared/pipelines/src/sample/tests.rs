use super::*;
use crate::{DateOrder, Decimal, Limits, Piece, Preface, SplitLimits, Splitter, preface};

/// What the rows of a file with semicolons say, however it is cut.
fn sampled_as(kind: Kind, text: &str, said: &Said) -> Result<Sampled, Vec<String>> {
    let look = |chunk_bytes: usize| {
        let mut preface = Preface::new(kind, said.clone(), Limits::default());
        let mut found = preface.push(text.as_bytes()).unwrap();
        if found == preface::Found::More {
            found = preface.finish().unwrap();
        }
        let limits = SplitLimits { chunk_bytes, ..SplitLimits::default() };
        let (mut splitter, reading) = match found {
            preface::Found::Csv(header) => (Splitter::at(limits, header.start()), header.reading(Values::default())),
            _ => (Splitter::new(limits), crate::Reading::default()),
        };
        let mut pieces = Vec::new();
        splitter.push(text.as_bytes(), |piece| pieces.push(piece));
        splitter.finish(|piece| pieces.push(piece));
        let mut sample = None;
        for piece in pieces {
            match piece {
                Piece::Header { raw, .. } => {
                    let layout = kind.read_header_as(&raw, &reading, &Limits::default()).unwrap();
                    sample = Some(Sample::new(kind, &layout, 1 << 20));
                }
                Piece::Chunk(chunk) => sample.as_mut().unwrap().push(&chunk),
            }
        }
        sample.unwrap().verdict(said).map_err(|asks| asks.iter().map(ToString::to_string).collect())
    };
    let whole = look(16 << 20);
    for chunk_bytes in [1, 64, 1024] {
        assert_eq!(look(chunk_bytes), whole, "{text}");
    }
    whole
}

/// Debts with these amounts and dates, in turns.
fn debts(amounts: &[&str], dates: &[&str]) -> String {
    let mut text = "name;governmentId;email;debtAmount;debtDueDate;debtId\n".to_owned();
    for n in 0..amounts.len().max(dates.len()) {
        let (amount, date) = (amounts[n % amounts.len()], dates[n % dates.len()]);
        text += &format!("Ana;1;a@b.c;{amount};{date};00000000-0000-4000-8000-{n:012}\n");
    }
    text
}

fn sampled(amounts: &[&str], dates: &[&str]) -> Result<Sampled, Vec<String>> {
    sampled_as(Kind::Debts, &debts(amounts, dates), &Said::default())
}

fn decimal(amounts: &[&str]) -> Option<Decimal> {
    sampled(amounts, &["2030-01-31"]).unwrap().values.decimal
}

fn dates(dates: &[&str]) -> Option<DateOrder> {
    sampled(&["10"], dates).unwrap().values.dates
}

fn asked(amounts: &[&str], dates: &[&str]) -> String {
    let mut asks = sampled(amounts, dates).unwrap_err();
    assert_eq!(asks.len(), 1, "{asks:?}");
    asks.remove(0)
}

#[test]
fn what_is_plain_stays_plain() {
    let plain = sampled(&["10.50", "7811", "-5", "0.5", "1234.500", ""], &["2030-01-31", "2030-01-31 00:00:00"]);
    assert_eq!(plain, Ok(Sampled { rows: 6, ..Sampled::default() }));
    let json = "{\"debtAmount\":10.50,\"debtDueDate\":\"2030-01-31\"}\n{\"debtAmount\":1.234}\n";
    assert_eq!(sampled_as(Kind::Debts, json, &Said::default()), Ok(Sampled { rows: 2, ..Sampled::default() }));
    let messages = "id;timestamp;text\n1;2024-04-29T02:08:29Z;1,50\n";
    assert_eq!(sampled_as(Kind::Messages, messages, &Said::default()).unwrap().values, Values::default());
}

#[test]
fn one_clear_amount_decides_over_those_that_are_not() {
    assert_eq!(decimal(&["1.234", "10,50", "1.234"]), Some(Decimal::Comma));
    assert_eq!(decimal(&["1.234,56", "1.234,56"]), Some(Decimal::Comma));
    assert_eq!(decimal(&["1,234.56"]), Some(Decimal::Point));
    assert_eq!(decimal(&["10.50", "1,234"]), Some(Decimal::Point));
    assert_eq!(decimal(&["10.50", "10,50", "10,51"]), Some(Decimal::Comma), "most of them");
    assert_eq!(decimal(&["10.50", "10.51", "10,50"]), None, "most of them, which the kind reads by itself");
    assert_eq!(decimal(&["10,50", "10.50"]), Some(Decimal::Comma), "the first of as many");
    let shown = sampled(&["10", "1.234,56"], &["2030-01-31"]).unwrap();
    assert_eq!(shown.decimal, Some(Example { line: 3, value: "1.234,56".to_owned() }));
    // a few that are open among many are a matter of their rows
    assert_eq!(decimal(&["1.234", "10", "20"]), None);
    assert_eq!(decimal(&["1.234"]), None);
    let many = [&["10"; 500][..], &["10,50", "12.345"]].concat();
    assert_eq!(decimal(&many), None, "one stray value does not make 12.345 another amount");
    let many = [&["10"; 500][..], &["10,50", "10.50", "12.345"]].concat();
    assert_eq!(decimal(&many), None);
}

#[test]
fn amounts_that_are_not_clear_are_a_question() {
    assert_eq!(
        asked(&["1.234", "1.234"], &["2030-01-31"]),
        "debtAmount is 1.234 on line 2: one thousand two hundred and thirty-four, or 1 and 234 thousandths? In no row is it \
         clear. Send decimal=comma (1234.00) or decimal=point."
    );
    assert_eq!(
        asked(&["10", "1,050", "12,345"], &["2030-01-31"]),
        "debtAmount is 1,050 on line 3: one thousand and fifty, or 1 and 50 thousandths? In no row is it clear. Send \
         decimal=point (1050.00) or decimal=comma."
    );
    assert_eq!(
        asked(&["10.50", "10,50", "1.234"], &["2030-01-31"]),
        "Amounts are written in two ways: 10.50 on line 2 and 10,50 on line 3, so 1.234 on line 4 has two meanings. Send \
         decimal=comma or decimal=point."
    );
    let said = Said { decimal: Some(Decimal::Point), ..Said::default() };
    let text = debts(&["10.50", "10,50", "1.234"], &["2030-01-31"]);
    let found = sampled_as(Kind::Debts, &text, &said).unwrap();
    assert_eq!((found.values.decimal, found.decimal), (Some(Decimal::Point), None));
}

#[test]
fn one_clear_date_decides_over_those_that_are_not() {
    assert_eq!(dates(&["01/02/2024", "31/12/2024"]), Some(DateOrder::Dmy));
    assert_eq!(dates(&["01/02/2024", "12/31/2024"]), Some(DateOrder::Mdy));
    assert_eq!(dates(&["05/05/2024"]), Some(DateOrder::Dmy), "the same day both ways");
    assert_eq!(dates(&["2024-12-31", "31/12/2024"]), Some(DateOrder::Dmy));
    for (date, order) in
        [("2024/12/31", DateOrder::Ymd), ("31.12.2024", DateOrder::Dmy), ("31-12-2024", DateOrder::Dmy)]
    {
        assert_eq!(dates(&[date]), Some(order), "{date}");
    }
    assert_eq!(dates(&["31/12/2024", "12/31/2024", "30/12/2024"]), Some(DateOrder::Dmy), "most of them");
    assert_eq!(dates(&["01/02/2024"]), None, "one is a matter of its row");
    assert_eq!(dates(&["45657", "20241231", "Dec 31, 2024", "31/02/2024"]), None);
    assert_eq!(dates(&["13/02/24", "31/12/99"]), Some(DateOrder::Dmy));
    let shown = sampled(&["10"], &["2030-01-31", "01/02/2024", "31/12/2024"]).unwrap().dates;
    assert_eq!(shown, Some(Example { line: 4, value: "31/12/2024".to_owned() }));
    let many = [&["2030-01-31"; 500][..], &["31/12/2024", "01/02/2024"]].concat();
    assert_eq!(dates(&many), None);
}

#[test]
fn dates_that_are_not_clear_are_a_question() {
    let asked = |dates: &[&str]| asked(&["10"], dates);
    assert_eq!(
        asked(&["01/02/2024", "03/04/2024"]),
        "debtDueDate is 01/02/2024 on line 2: 1 February or 2 January? In no row is it clear. Send dates=dmy or dates=mdy."
    );
    assert_eq!(
        asked(&["31/12/2024", "12/31/2024", "01/02/2024"]),
        "Dates are written in two ways: 31/12/2024 on line 2 and 12/31/2024 on line 3, so 01/02/2024 on line 4 has two \
         meanings. Send dates=dmy or dates=mdy."
    );
    assert_eq!(
        asked(&["31/12/24", "13/02/24"]),
        "The year of 31/12/24 on line 2 has two digits. Send dates=dmy, dates=mdy or dates=ymd."
    );
    let both = sampled(&["1.234"], &["01/02/2024", "01/02/2024"]).unwrap_err();
    assert_eq!(both.len(), 2, "both at once: {both:?}");
    let said = Said { dates: Some(DateOrder::Mdy), ..Said::default() };
    let found = sampled_as(Kind::Debts, &debts(&["10"], &["01/02/2024", "31/12/2024"]), &said).unwrap();
    assert_eq!((found.values.dates, found.dates), (Some(DateOrder::Mdy), None));
}

#[test]
fn claims_have_their_own_rule_and_never_ask() {
    let claims = |date: &str, fees: &str| {
        let header = Kind::Claims.columns().join(";");
        let row = format!("{date};D0180;UR;G;1;1497775530;{fees};1;1;1\n");
        let text = format!("{header}\n{row}{row}");
        sampled_as(Kind::Claims, &text, &Said::default()).unwrap().values
    };
    for (date, fees) in [("3/4/18", "1,000"), ("01/02/2024", "$1,234.50"), ("3/28/18 0:00", "1.234"), ("x", "-")] {
        assert_eq!(claims(date, fees), Values::default(), "{date} {fees}");
    }
    let (decimal, dates) = (Some(Decimal::Comma), Some(DateOrder::Dmy));
    let brazil = Values { decimal, dates, two_decimals: true, ..Values::UNKNOWN };
    assert_eq!(claims("28/3/18 0:00", "R$ 1.234,50"), brazil);
}

#[test]
fn one_stray_value_turns_no_rule_of_claims_over() {
    let claims = |days: &[&str], fees: &[&str]| {
        let row =
            |n: usize| format!("{};D0180;UR;G;1;1497775530;{};1;1;1\n", days[n % days.len()], fees[n % fees.len()]);
        let rows: String = (0..20).map(row).collect();
        let text = format!("{}\n{rows}", Kind::Claims.columns().join(";"));
        sampled_as(Kind::Claims, &text, &Said::default()).unwrap().values
    };
    assert_eq!(claims(&[&["3/4/18"; 19][..], &["31/5/18"]].concat(), &["1"]), Values::default());
    assert_eq!(claims(&["3/28/18"], &["1,200", "1,100", "10,50"]), Values::default());
    assert_eq!(claims(&["3/28/18"], &["1,200.00", "1.200", "10.50"]), Values::default());
}

#[test]
fn three_decimals_are_told_by_values_that_have_them() {
    let two_decimals = |amounts: &[&str]| sampled(amounts, &["2030-01-31"]).unwrap().values.two_decimals;
    assert!(two_decimals(&["10.50", "10.50", "1.500"]));
    assert!(two_decimals(&["10,50", "1,500"]));
    assert!(!two_decimals(&["0.500", "10.500", "1.500"]));
    assert!(!two_decimals(&["1.234,500", "1,500"]));
    assert!(!two_decimals(&["10.50"]), "the kind's own rule");
    let said = Said { decimal: Some(Decimal::Point), dates: Some(DateOrder::Ymd), ..Said::default() };
    let said = sampled_as(Kind::Debts, &debts(&["10.50", "1.500"], &["2030/12/31"]), &said).unwrap().values;
    assert!(!said.two_decimals && !said.long_years);
}

#[test]
fn years_of_two_digits_are_told_by_values_that_have_them() {
    let long_years = |dates: &[&str]| sampled(&["10"], dates).unwrap().values.long_years;
    assert!(long_years(&["2024/12/31"]));
    assert!(!long_years(&["2045/12/31", "45-12-31"]));
    assert!(!long_years(&["31/12/2024"]));
}

#[test]
fn texts_of_json_are_looked_at_and_numbers_are_not() {
    let json =
        "{\"debtAmount\":1.5,\"debtDueDate\":\"31/12/2024\"}\r\n\r\n{\"Debt_Amount\":\"1.234,56\"}\r\nno json\r\n";
    let found = sampled_as(Kind::Debts, json, &Said::default()).unwrap();
    assert_eq!(found.decimal, Some(Example { line: 3, value: "1.234,56".to_owned() }));
    assert_eq!((found.values.dates, found.rows), (Some(DateOrder::Dmy), 3));
}

#[test]
fn rows_that_are_separated_otherwise_are_a_question() {
    let header = "name;governmentId;email;debtAmount;debtDueDate;debtId\n";
    let row = "Ana,1,a@b.c,1.234,01/02/2024,00000000-0000-4000-8000-000000000000\n";
    let asks = sampled_as(Kind::Debts, &format!("{header}{row}{row}"), &Said::default()).unwrap_err();
    assert_eq!(
        asks,
        [
            "The header is separated by ';' and the rows by ',': line 2 has 1 field where the header has 6. Write both alike, or \
         send delimiter= and header_line=."
        ]
    );
    // rows of another width are a matter of theirs
    let short = "Ana;1;a@b.c\n";
    assert!(sampled_as(Kind::Debts, &format!("{header}{short}{short}"), &Said::default()).is_ok());
}

#[test]
fn what_stands_behind_the_sample_changes_nothing() {
    let row = |date: &str| format!("Ana;1;a@b.c;10;{date};00000000-0000-4000-8000-000000000000\n");
    let rows = (BYTES / row("2024-12-31").len()) + 1;
    let text = debts(&["10"], &["2024-12-31"]) + &row("2024-12-31").repeat(rows) + &row("31/12/2024").repeat(10);
    let found = sampled_as(Kind::Debts, &text, &Said::default()).unwrap();
    assert_eq!(found.values, Values::default());
    assert!(found.rows as usize <= rows + 1);
    // the same day both ways says nothing of those that were not looked at
    let text = debts(&["10"], &["05/05/2024"]) + &row("2024-12-31").repeat(rows);
    assert_eq!(sampled_as(Kind::Debts, &text, &Said::default()).unwrap().values.dates, None);
}

/// A file whose first megabyte has these values in turns.
fn cut(amounts: &[&str], dates: &[&str]) -> Result<Sampled, Vec<String>> {
    let turns = 30_000 / amounts.len().max(dates.len());
    sampled(&amounts.repeat(turns), &dates.repeat(turns))
}

#[test]
fn behind_the_sample_there_may_be_values_that_are_not_clear() {
    let few = |many: &'static str, says: &'static [&'static str]| [&[many; 1_000][..], says].concat();
    let plain = &["2030-01-31"];
    for says in [&["10,50"][..], &["1,234.56"], &["1.234,56", "1,234.56", "1.234,56"]] {
        assert_eq!(cut(&few("10", says), plain).unwrap().values, Values::default(), "{says:?}");
    }
    assert_eq!(cut(&["10"], &few("2030-01-31", &["31/12/2030"])).unwrap().values, Values::default());
    assert_eq!(cut(&["10", "10,50"], plain).unwrap().values.decimal, Some(Decimal::Comma));
    assert_eq!(cut(&["10"], &["2030-01-31", "31/12/2030"]).unwrap().values.dates, Some(DateOrder::Dmy));
    assert_eq!(
        cut(&["10,50", "10,51", "10.50"], plain).unwrap_err(),
        ["Amounts are written in two ways: 10.50 on line 4 and 10,50 on line 2, so others further down may have two \
          meanings. Send decimal=comma or decimal=point."]
    );
    assert_eq!(
        cut(&["10"], &["31/12/2030", "30/12/2030", "12/31/2030"]).unwrap_err(),
        [
            "Dates are written in two ways: 31/12/2030 on line 2 and 12/31/2030 on line 4, so others further down may have \
          two meanings. Send dates=dmy or dates=mdy."
        ]
    );
    // the kind's own rule takes nothing that has two meanings
    assert_eq!(cut(&["10.50", "10.51", "10,50"], plain).unwrap().values, Values::default());
}
