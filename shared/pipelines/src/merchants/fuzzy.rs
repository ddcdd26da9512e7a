//! Names that are almost there: those that share most trigrams with what is asked for, compared by edits.

use std::cell::RefCell;

use super::exact::Name;

/// Names that are compared.
const CANDIDATES: usize = 12;
/// Trigrams that are looked up: the rarest ones.
const TRIGRAMS: usize = 10;
/// Shorter names have too many neighbours.
pub(super) const SHORTEST: usize = 5;

/// Letters and digits.
const ALPHABET: usize = 36;

/// Which names have which trigram: the names of all trigrams one behind the other, and where those of each begin.
pub(super) struct Fuzzy {
    starts: Vec<u32>,
    names: Vec<u32>,
}

thread_local! {
    /// How many of the trigrams each name has; zeros between questions.
    static SHARED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Fuzzy {
    pub(super) fn new(names: &[Name]) -> Self {
        let indexed = || {
            let names = (0..).zip(names).filter(|(_, name)| name.compact.len() >= SHORTEST);
            names.flat_map(|(place, name)| trigrams(&name.compact).map(move |trigram| (trigram, place)))
        };
        let mut starts = vec![0_u32; ALPHABET * ALPHABET * ALPHABET + 1];
        indexed().for_each(|(trigram, _)| starts[trigram + 1] += 1);
        for trigram in 1..starts.len() {
            starts[trigram] += starts[trigram - 1];
        }
        let mut next = starts.clone();
        let mut places = vec![0; starts.last().copied().unwrap_or_default() as usize];
        for (trigram, place) in indexed() {
            places[next[trigram] as usize] = place;
            next[trigram] += 1;
        }
        Self { starts, names: places }
    }

    fn having(&self, trigram: usize) -> &[u32] {
        &self.names[self.starts[trigram] as usize..self.starts[trigram + 1] as usize]
    }

    /// The names most like this one, with their likeness from 0 to 1, best first.
    pub(super) fn find(&self, names: &[Name], asked: &str) -> Vec<(f64, u32)> {
        if asked.len() < SHORTEST || !asked.is_ascii() {
            return Vec::new();
        }
        let mut lists: Vec<&[u32]> = trigrams(asked).map(|trigram| self.having(trigram)).collect();
        lists.sort_unstable_by_key(|list| list.len());
        lists.truncate(TRIGRAMS);
        SHARED.with_borrow_mut(|shared| {
            shared.resize(names.len(), 0);
            let mut seen: Vec<u32> = Vec::new();
            for place in lists.iter().flat_map(|list| list.iter()) {
                let count = &mut shared[*place as usize];
                *count = count.saturating_add(1);
                // One trigram is shared by chance.
                if *count == 2 {
                    seen.push(*place);
                }
            }
            let mut best: Vec<(u8, u32)> = seen
                .iter()
                .map(|place| (shared[*place as usize], *place))
                .filter(|(_, place)| names[*place as usize].compact.len().abs_diff(asked.len()) <= 3)
                .collect();
            for place in lists.iter().flat_map(|list| list.iter()) {
                shared[*place as usize] = 0;
            }
            if best.len() > CANDIDATES {
                best.select_nth_unstable_by(CANDIDATES, |a, b| b.cmp(a));
                best.truncate(CANDIDATES);
            }
            let mut scored: Vec<(f64, u32)> =
                best.into_iter().map(|(_, place)| (likeness(asked, &names[place as usize].compact), place)).collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            scored
        })
    }
}

/// The mean of Jaro-Winkler, which forgives at the end, and of the share of letters that need no edit.
fn likeness(a: &str, b: &str) -> f64 {
    let winkler = strsim::jaro_winkler(a, b);
    if winkler < 0.85 {
        return 0.0;
    }
    winkler.midpoint(strsim::normalized_damerau_levenshtein(a, b))
}

/// Those of letters and digits alone, as numbers.
fn trigrams(text: &str) -> impl Iterator<Item = usize> {
    let number = |byte: u8| match byte {
        b'a'..=b'z' => Some(usize::from(byte - b'a')),
        b'0'..=b'9' => Some(usize::from(byte - b'0') + 26),
        _ => None,
    };
    let windows = text.as_bytes().windows(3);
    windows.filter_map(move |w| Some((number(w[0])? * ALPHABET + number(w[1])?) * ALPHABET + number(w[2])?))
}
