//! The metrics of the source: which are counted, and how each is described.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use super::repository::Source;

/// What the source says of metrics.
#[derive(Default)]
pub(crate) struct Metrics {
    /// Names that are counted, set or observed.
    pub(crate) counted: BTreeSet<String>,
    /// Name by name: counter, gauge or histogram, and the description.
    pub(crate) described: BTreeMap<String, (&'static str, String)>,
}

/// The metrics of these files.
pub(crate) fn of(source: &Source) -> Metrics {
    let mut metrics = Metrics::default();
    source.iter().for_each(|(_, text)| read(text.parse().unwrap(), &mut metrics));
    metrics
}

fn read(tokens: TokenStream, metrics: &mut Metrics) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (n, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let inside: Vec<TokenTree> = group.stream().into_iter().collect();
        let macro_name = match (n.checked_sub(2).map(|n| &tokens[n]), n.checked_sub(1).map(|n| &tokens[n])) {
            (Some(TokenTree::Ident(name)), Some(TokenTree::Punct(mark))) if mark.as_char() == '!' => name.to_string(),
            _ => String::new(),
        };
        if let Some(name) = inside.first().and_then(literal).filter(|name| is_metric(name)) {
            note(name, &macro_name, &inside, metrics);
        }
        read(group.stream(), metrics);
    }
}

/// Notes what a group says of the metric whose name it begins with.
fn note(name: String, macro_name: &str, inside: &[TokenTree], metrics: &mut Metrics) {
    let help = inside.get(2).and_then(literal).filter(|_| inside.len() <= 4);
    match (macro_name, help) {
        ("counter" | "gauge" | "histogram", _) => _ = metrics.counted.insert(name),
        ("describe_counter", Some(help)) => _ = metrics.described.insert(name, ("counter", help)),
        ("describe_gauge", Some(help)) => _ = metrics.described.insert(name, ("gauge", help)),
        ("describe_histogram", Some(help)) => _ = metrics.described.insert(name, ("histogram", help)),
        // a pair of a list of counters
        ("", Some(help)) if name.ends_with("_total") => _ = metrics.described.insert(name, ("counter", help)),
        _ => {}
    }
}

fn is_metric(name: &str) -> bool {
    name.starts_with("gristmill_") || name.starts_with("process_")
}

fn literal(token: &TokenTree) -> Option<String> {
    syn::parse2::<syn::LitStr>(token.clone().into()).ok().map(|literal| literal.value())
}

#[test]
fn a_metric_is_found_in_each_form() {
    let source = r#"
        fn describe() {
            metrics::describe_gauge!("gristmill_a", "What a is");
            describe_counter!("gristmill_b_total", "What b counts",);
            for (name, help) in [("gristmill_c_total", "What c counts")] { describe_counter!(name, help) }
            counter!("gristmill_d_total", "outcome" => "done").increment(1);
            println!("gristmill_e", "no metric");
        }
    "#;
    let mut metrics = Metrics::default();
    read(source.parse().unwrap(), &mut metrics);
    let described: Vec<_> = metrics.described.iter().map(|(name, (form, _))| (name.as_str(), *form)).collect();
    assert_eq!(
        described,
        [("gristmill_a", "gauge"), ("gristmill_b_total", "counter"), ("gristmill_c_total", "counter")]
    );
    assert_eq!(metrics.counted.iter().collect::<Vec<_>>(), ["gristmill_d_total"]);
}
