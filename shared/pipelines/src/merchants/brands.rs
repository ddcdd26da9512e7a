//! Brands inside a descriptor: every name that stands in it from word border to word border, by one pass of Aho-Corasick.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::exact::Name;

/// All names, folded.
pub(super) struct Brands {
    /// Its patterns are the names, in their order.
    automaton: AhoCorasick,
}

/// A name that stands in the words.
pub(super) struct Inside {
    pub(super) name: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Brands {
    pub(super) fn new(names: &[Name]) -> Self {
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::NoncontiguousNFA))
            .prefilter(false)
            .build(names.iter().map(|name| &*name.words))
            .expect("a dictionary's names are far fewer than 2³¹");
        Self { automaton }
    }

    /// The names between word borders.
    pub(super) fn find<'a>(&'a self, words: &'a str) -> impl Iterator<Item = Inside> + 'a {
        let bytes = words.as_bytes();
        let border = move |at: usize| at == 0 || at == bytes.len() || bytes[at] == b' ' || bytes[at - 1] == b' ';
        self.automaton
            .find_overlapping_iter(words)
            .filter(move |found| border(found.start()) && border(found.end()))
            .map(|found| Inside { name: found.pattern().as_u32(), start: found.start(), end: found.end() })
    }
}
