use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::Kind;

/// The lines of an array, pushed by so many bytes.
fn lines(array: &[u8], size: usize) -> Vec<u8> {
    let (mut elements, mut out) = (Elements::new(), Vec::new());
    array[1..].chunks(size).for_each(|bytes| elements.push(bytes, &mut out));
    elements.finish(&mut out);
    out
}

/// However it is cut.
fn text(array: &str) -> String {
    let whole = lines(array.as_bytes(), usize::MAX);
    for size in 1..9 {
        assert_eq!(lines(array.as_bytes(), size), whole, "{array} by {size}");
    }
    String::from_utf8(whole).unwrap()
}

#[test]
fn each_element_is_a_line() {
    for (array, is) in [
        ("[]", ""),
        ("[ \n]\n", ""),
        ("[{}]", "{}\n"),
        ("[1,2]", "1\n2\n"),
        (r#"[{"a" : "x, ]\" y"} , {"a":[1, {"b":null}]}]"#, "{\"a\":\"x, ]\\\" y\"}\n{\"a\":[1,{\"b\":null}]}\n"),
        ("[\r\n  {\r\n    \"a\": 1,\r\n    \"b\": \"x  y\"\r\n  }\r\n]", "{\"a\":1,\"b\":\"x  y\"}\n"),
        // what is none stays none
        ("[{\"a\":1 2}, 3 4]", "{\"a\":1 2}\n3 4\n"),
    ] {
        assert_eq!(text(array), is, "{array}");
    }
}

#[test]
fn what_is_wrong_between_them_is_said_on_its_line() {
    for (array, is) in [
        ("[1,]", "1\nno element behind the last comma\n"),
        ("[,1]", "no element before this comma\n1\n"),
        // all of them at once
        ("[1,,,,,2]", "1\nno element before this comma\n2\n"),
        ("[,,]", "no element before this comma\nno element behind the last comma\n"),
        ("[{} {\"a\":1},1]", "{}\nno comma before this element: {\"a\":1}\n1\n"),
        ("[{}}, {}]", "{}}\n{}\n"),
        ("[{}", "{}\nthe array is not closed\n"),
        ("[{},", "{}\nthe array is not closed\n"),
        ("[{\"a\":\"x", "{\"a\":\"x\nthe array is not closed\n"),
        ("[{}]\n[ {} ]\n", "{}\nbehind the end of the array: [{}]\n"),
        // a quote that is lost
        ("[{\"a\":\"x},\r\n{\"a\":1}]", "{\"a\":\"x},\t {\"a\":1}]\nthe array is not closed\n"),
        ("[{\n\"a\": \"x,\n\"b\": 1\n},\n{}]", "{\"a\":\"x,\t\"b\":1}\n{}\n"),
    ] {
        assert_eq!(text(array), is, "{array}");
    }
}

#[test]
fn an_array_is_known_by_how_it_begins() {
    let array = |at| Begin::Array { at };
    let member = |name: &str| Begin::Member(name.to_owned());
    let element = r#"{"name":1,"government_id":2,"email":3,"debtAmount":4,"debtDueDate":5,"debtId":6}"#;
    let cases = [
        ("[{", array(1)),
        ("\u{feff}\r\n \t[ \n{", array(8)),
        ("[]", array(1)),
        ("[", array(1)),
        ("[]\n ", array(1)),
        ("[null", Begin::Rows),
        ("[2024-01] Extrato\nname,governmentId", Begin::Rows),
        ("[\"Relat\u{f3}rio\"]\nname,governmentId", Begin::Rows),
        ("[] Extrato", Begin::Rows),
        ("[name],[governmentId]", Begin::Rows),
        ("name,governmentId", Begin::Rows),
        ("\n\n", Begin::Rows),
        ("", Begin::Rows),
        ("{\"name\":[{\n", Begin::Rows),
        ("{\"other\":1}\n{", Begin::Rows),
        ("{\"lines\":[{\"a\":1}],\"name\":\"x\"}\n", Begin::Rows),
        ("{\n  \"data\": [\n", Begin::Rows),
        ("{\n  \"data\": [\n{", member("data")),
        ("{\"count\":2,\"more\":{\"a\":[\"}\"]},\"results\":[{\"a\":1,\n", member("results")),
        ("{\"data\":[[1]],\"rows\":[1,2]}", Begin::Rows),
    ];
    let one_line = (format!("{{\"n\":1,\"data\":[{element},{element}]}}"), member("data"));
    for (text, is) in cases.into_iter().map(|(text, is)| (text.to_owned(), is)).chain([one_line]) {
        let text = text.as_bytes();
        assert_eq!(begin(text, Kind::Debts, true), is, "{}", text.escape_ascii());
        // nothing is known too early
        for end in 0..text.len() {
            let early = begin(&text[..end], Kind::Debts, false);
            assert!(early == is || early == Begin::More, "{}: {early:?}", text[..end].escape_ascii());
        }
    }
    assert_eq!(begin(&[b' '; 20_000], Kind::Debts, false), Begin::Rows);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~\n\r\té\u{1f600}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a\"\\\\ ,\\]}]{0,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The lines as values, if each is one.
fn values(lines: &[u8]) -> Option<Vec<Value>> {
    lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).ok())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_lines_are_what_serde_reads(array in prop::collection::vec(value(), 0..6), size in 1..20_usize) {
        for text in [serde_json::to_vec(&array).unwrap(), serde_json::to_vec_pretty(&array).unwrap()] {
            let out = lines(&text, size);
            prop_assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), array.len());
            prop_assert_eq!(values(&out), Some(array.clone()));
        }
    }

    #[test]
    fn what_serde_refuses_has_a_line_that_it_refuses(
        array in prop::collection::vec(value(), 1..4),
        pretty in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"\"{}[],:\\ \n1a\xff"[..]), 0..3), 0..4),
        size in 1..20_usize,
    ) {
        let mut text = if pretty { serde_json::to_vec_pretty(&array) } else { serde_json::to_vec(&array) }.unwrap();
        for (at, byte, how) in changes {
            let at = 1 + at.index(text.len() - 1);
            match how {
                0 => text.insert(at, byte),
                1 if text.len() > 2 => drop(text.remove(at)),
                _ => text[at] = byte,
            }
        }
        let out = lines(&text, size);
        prop_assert_eq!(&out, &lines(&text, usize::MAX));
        prop_assert_eq!(values(&out), serde_json::from_slice::<Vec<Value>>(&text).ok());
    }
}
