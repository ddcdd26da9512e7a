use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// The rules one after the other, as they are written.
fn naive(text: &str) -> i64 {
    let characters: Vec<char> = text.chars().collect();
    let mut sum = 20 + characters.len() as i64;
    let words: Vec<&str> = text
        .split(|char: char| !(char.is_alphabetic() || char == '\'' || char == '-'))
        .filter(|word| !word.is_empty())
        .collect();
    for word in &words {
        sum += match word.chars().count() {
            ..4 => 2,
            4..8 => 4,
            8.. => 6,
        };
    }
    sum += 6 * characters.iter().skip(2).step_by(3).filter(|char| "aeiouAEIOU".contains(**char)).count() as i64;
    if characters.len() > 100 {
        sum += 100;
    }
    if words.iter().collect::<HashSet<_>>().len() == words.len() {
        sum = (sum - 40).max(20);
    }
    let folded: Vec<char> =
        characters.iter().flat_map(|char| char.to_lowercase()).filter(|char| char.is_alphanumeric()).collect();
    let backwards: Vec<char> = folded.iter().rev().copied().collect();
    if !folded.is_empty() && folded == backwards { 2 * sum } else { sum }
}

#[test]
fn the_known_values() {
    let hundred_and_one = "a".repeat(101);
    for (text, expected) in [
        ("Are there any restrictions on alterations or improvements?", "5.2"),
        ("What are the indemnity provisions?", "2.9"),
        ("What happens if the property is sold during the lease term?", "7.05"),
        ("What are the restrictions on operating hours and any related provisions for commercial tenants?", "10.55"),
        ("orbital latibro", "2.1"),
        (hundred_and_one.as_str(), "38.5"),
        ("A man a plan a canal Panama", "7.3"),
        ("Hello world", "1"),
        ("", "1"),
    ] {
        assert_eq!(credits(text).to_string(), expected, "{text}");
        assert_eq!(credits(text).twentieths(), naive(text), "{text}");
        assert_eq!(serde_json::to_string(&credits(text)).unwrap(), expected);
    }
}

#[test]
fn the_edges_of_the_rules() {
    let of = |text: &str| credits(text).twentieths();
    // not below 1 before it is doubled
    assert_eq!(of("a"), 40);
    // case tells words apart, but not letters of a palindrome
    assert_eq!(of("no No"), 20);
    assert_eq!(of("on No"), 40);
    assert_eq!(of("no no "), 20 + 6 + 4);
    // a hundred characters are not long
    assert_eq!(of(&" ".repeat(100)), 20 + 100 - 40);
    assert_eq!(of(&" ".repeat(101)), 20 + 101 + 100 - 40);
    // nothing but signs reads the same in both directions, but is no palindrome
    assert_eq!(of("?!?"), 20);
    // É is one character and a letter, but no vowel; U+0301 behind an e is a character that is no letter
    assert_eq!(of("xxÉ xxÉ"), 20 + 7 + 4);
    assert_eq!(of("xxE xxE"), 20 + 7 + 4 + 6);
    assert_eq!(of("xxe\u{301} xxe\u{301}"), 20 + 9 + 4 + 6);
    // two words of which only the ninth character differs, and one of signs alone
    let long = "abcdefgh";
    assert_eq!(of(&format!("{long}x {long}y -'")), naive(&format!("{long}x {long}y -'")));
    assert_eq!(of("- -"), 20 + 3 + 4);
}

#[test]
fn many_words_are_told_apart() {
    let word = |n: usize| format!("w{}", "x".repeat(n % 23) + &"y".repeat(n / 23));
    let words: Vec<String> = (0..200).map(word).collect();
    for count in [63, 64, 65, 66, 200] {
        let unique = words[..count].join(" ");
        let repeated = format!("{unique} {}", words[count / 2]);
        assert_eq!(credits(&unique).twentieths(), naive(&unique), "{count}");
        assert_eq!(credits(&repeated).twentieths(), naive(&repeated), "{count}");
    }
}

#[test]
fn amounts_are_read_and_written_exactly() {
    for (text, twentieths, shown) in [
        ("0", 0, "0"),
        ("0.05", 1, "0.05"),
        ("79", 1580, "79"),
        ("5.2", 104, "5.2"),
        ("5.20", 104, "5.2"),
        ("12.500", 250, "12.5"),
        ("10.55", 211, "10.55"),
        ("1000000", 20_000_000, "1000000"),
    ] {
        let read: Credits = text.parse().unwrap();
        assert_eq!((read.twentieths(), read.to_string().as_str()), (twentieths, shown));
    }
    assert_eq!(Credits::from_twentieths(-3).to_string(), "-0.15");
    for text in ["0.01", "7.99"] {
        assert_eq!(text.parse::<Credits>(), Err(BadCredits::TooFine), "{text}");
    }
    for text in ["", "-1", "1e2", ".5", "5.", "0.125", "1000000.05", "99999999999999999999", "1,5", " 1"] {
        assert_eq!(text.parse::<Credits>(), Err(BadCredits::NotANumber), "{text}");
    }
}

fn texts() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        4 => prop::sample::select(vec!["a", "e", "the", "lease", "provisions", "Lease", "x"]).prop_map(str::to_owned),
        4 => prop::sample::select(vec![" ", "'", "-", "?", ", ", "\n", "7"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["é", "É", "ß", "İ", "Σ", "ς", "字", "\u{301}", "😀", "ª"]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    let tokens = prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat());
    let mirrored = |text: String| text.chars().chain(text.chars().rev()).collect::<String>();
    prop_oneof![3 => tokens.clone(), 1 => tokens.prop_map(mirrored), 1 => "[ -~]{0,150}", 1 => ".{0,40}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_one_is_the_naive_one(text in texts()) {
        prop_assert_eq!(credits(&text).twentieths(), naive(&text));
    }

    #[test]
    fn what_is_shown_is_read_again(twentieths in 0..20_000_000_i64) {
        let shown = Credits::from_twentieths(twentieths).to_string();
        prop_assert_eq!(shown.parse::<Credits>().unwrap().twentieths(), twentieths);
        prop_assert_eq!(shown.parse::<f64>().unwrap(), twentieths as f64 / 20.0);
    }
}
