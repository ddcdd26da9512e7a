use gristmill_pipelines::merchants::{Dictionary, MatchKind, Normalizer, Rule, Rules, Test, noise};
use uuid::Uuid;

/// A descriptor and its merchant a line, written by hand after what banks show; nothing behind the bar: nobody that is known.
const BY_HAND: &str = include_str!("descriptors.txt");

#[test]
fn descriptors_that_look_real_are_all_answered_right() {
    let normalizer = Normalizer::built_in();
    let rules = Rules::default();
    let mut wrong = Vec::new();
    for line in BY_HAND.lines() {
        let (descriptor, merchant) = line.split_once('|').unwrap();
        let found = normalizer.find(descriptor, &rules);
        if found.map_or("", |found| found.name) != merchant {
            wrong.push(format!("{descriptor:?} is {merchant:?}, not {found:?}"));
        }
    }
    assert!(BY_HAND.lines().count() >= 200);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn of_labelled_descriptors_few_are_wrong_and_most_are_found() {
    let normalizer = Normalizer::built_in();
    let rules = Rules::default();
    let labelled = noise::descriptors(Dictionary::built_in(), 2026, 6_000);
    let (mut answered, mut right, mut known) = (0_u32, 0_u32, 0_u32);
    for one in &labelled {
        let found = normalizer.find(&one.descriptor, &rules);
        known += u32::from(!one.merchants.is_empty());
        answered += u32::from(found.is_some());
        right += u32::from(found.is_some_and(|found| one.merchants.contains(&found.name)));
        assert!(found.is_none_or(|found| (0.75..=1.0).contains(&found.score)));
    }
    let (precision, recall) = (f64::from(right) / f64::from(answered), f64::from(right) / f64::from(known));
    assert!(precision >= 0.97 && recall >= 0.90, "precision {precision:.4}, recall {recall:.4}");
}

#[test]
fn the_labelled_set_never_changes() {
    let labelled = noise::descriptors(Dictionary::built_in(), 1, 12);
    insta::assert_debug_snapshot!(labelled);
}

#[test]
fn a_merchant_has_its_category_and_its_item() {
    let normalizer = Normalizer::built_in();
    let rules = Rules::default();
    let found = normalizer.find("Payment Netflix APRIL***", &rules).unwrap();
    assert_eq!((found.name, found.matched, found.wikidata), ("Netflix", MatchKind::Exact, Some("Q907311")));
    assert_eq!(found.category.unwrap().mcc, "4899");
    let almost = normalizer.find("STARBCUKS 00123", &rules).unwrap();
    assert_eq!((almost.name, almost.matched), ("Starbucks", MatchKind::Fuzzy));
}

#[test]
fn a_clients_rules_win() {
    let rule = Rule::new(Uuid::from_u128(7), Test::Contains, "netflix", "Films of ours").unwrap();
    let rules = Rules::new(vec![rule]);
    let found = Normalizer::built_in().find("Payment Netflix APRIL***", &rules).unwrap();
    assert_eq!((found.name, found.matched, found.score), ("Films of ours", MatchKind::Rule(Uuid::from_u128(7)), 1.0));
}

#[test]
fn any_text_is_answered() {
    let normalizer = Normalizer::built_in();
    for text in ["", " ", "*", "ß", "İ", "日本", "\u{301}", "SQ *", "# # #", "a\u{0}b", &"x ".repeat(5_000)] {
        assert_eq!(normalizer.find(text, &Rules::default()), None, "{text:?}");
    }
}
