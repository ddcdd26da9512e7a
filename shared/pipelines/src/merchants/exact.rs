//! Whole names: a table from a folded name without blanks to its brand.

use std::collections::HashMap;

use super::{
    dictionary::{Brand, Dictionary},
    fold::{compact, fold},
};

/// A folded name or alias of a brand.
pub(super) struct Name {
    /// Folded, words apart.
    pub(super) words: Box<str>,
    pub(super) compact: Box<str>,
    /// Place in [`Dictionary::brands`].
    pub(super) brand: u32,
    /// The brand's own name, not another one for it.
    pub(super) own: bool,
}

/// Every name once: where two brands have it, the one whose own it is, then the better known one.
pub(super) fn names(dictionary: &Dictionary) -> (Vec<Name>, HashMap<Box<str>, u32>) {
    let mut names: Vec<Name> = Vec::with_capacity(dictionary.brands.len() * 3 / 2);
    let mut places: HashMap<Box<str>, u32> = HashMap::with_capacity(dictionary.brands.len() * 3 / 2);
    // What was written by hand says what descriptors mean, so it comes before any brand that nobody knows.
    let well_known = |brand: &Brand| brand.rank == 0;
    for (best, own) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut brands: Vec<(u32, &Brand)> =
            (0..).zip(&dictionary.brands).filter(|(_, brand)| well_known(brand) == best).collect();
        brands.sort_by_key(|(_, brand)| brand.rank);
        for (brand, known) in brands {
            let texts = if own { std::slice::from_ref(&known.name) } else { &known.aliases };
            for text in texts {
                let words = fold(text);
                let mut add = |words: &str, own| {
                    let compact = compact(words);
                    if compact.len() > 1 && !places.contains_key(&*compact) {
                        places.insert(compact.clone().into(), names.len() as u32);
                        names.push(Name { words: words.into(), compact: compact.into(), brand, own });
                    }
                };
                add(&words, own);
                // A domain's end is cleaned away from descriptors.
                if let Some(words) = words.strip_suffix(" com") {
                    add(words, own);
                }
            }
        }
    }
    (names, places)
}
