use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use uuid::Uuid;

use super::{
    Brand, Category, Dictionary, Rules,
    brands::{Brands, Inside},
    clean::{Cleaned, cleaned},
    exact::{self, Name},
    fold::{compact, fold},
    fuzzy::{self, Fuzzy},
};

/// The least score that counts. What is below is not said.
pub const THRESHOLD: f64 = 0.75;

/// Letters that must be there of a name that was cut off.
const SHORTEST_CUT: usize = 12;

/// Finds merchants. Made once, shared by all threads.
pub struct Normalizer {
    dictionary: &'static Dictionary,
    names: Vec<Name>,
    /// Compact names.
    whole: HashMap<Box<str>, u32>,
    brands: Brands,
    fuzzy: Fuzzy,
    /// The names in the order of the alphabet, to complete those that were cut off.
    sorted: Vec<u32>,
    /// In how many names a word is.
    frequencies: HashMap<Box<str>, u32>,
    suffixes: HashSet<String>,
}

/// By which way a merchant was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matched {
    /// A rule of the client's own.
    Rule(Uuid),
    /// The whole is a name or an alias.
    Exact,
    /// A name stands in it.
    Brand,
    /// It is almost a name.
    Fuzzy,
}

/// A merchant, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'a> {
    /// As it writes itself.
    pub name: &'a str,
    /// How it was found.
    pub matched: Matched,
    /// From [`THRESHOLD`] to 1.
    pub score: f64,
    /// What it sells.
    pub category: Option<Category>,
    /// Its item in Wikidata.
    pub wikidata: Option<&'a str>,
}

impl Matched {
    /// The word in the API and in the database; a client's rule has its id beside it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule(_) => "rule",
            Self::Exact => "exact",
            Self::Brand => "brand",
            Self::Fuzzy => "fuzzy",
        }
    }
}

impl Normalizer {
    /// Of the dictionary that comes with the crate. The first call makes it.
    pub fn built_in() -> &'static Self {
        static NORMALIZER: LazyLock<Normalizer> = LazyLock::new(|| Normalizer::new(Dictionary::built_in()));
        &NORMALIZER
    }

    /// Of a dictionary.
    pub fn new(dictionary: &'static Dictionary) -> Self {
        let (names, whole) = exact::names(dictionary);
        // The automaton takes as long as all the rest.
        let (brands, (fuzzy, (frequencies, sorted))) = rayon::join(
            || Brands::new(&names),
            || (Fuzzy::new(&names), (frequencies(&names), sorted(&names))),
        );
        Self {
            suffixes: dictionary.suffixes.iter().map(|suffix| fold(suffix)).collect(),
            dictionary,
            names,
            whole,
            brands,
            fuzzy,
            sorted,
            frequencies,
        }
    }

    /// The merchant that a descriptor names, by the client's rules first; `None`: nobody that is known.
    pub fn find<'a>(&'a self, descriptor: &str, rules: &'a Rules) -> Option<Found<'a>> {
        if let Some((id, name)) = rules.find(descriptor) {
            return Some(Found { name, matched: Matched::Rule(id), score: 1.0, category: None, wikidata: None });
        }
        // Some names are what others have beside their names: `Fitness 19`, `Dash In`, `Apple Pay`.
        let whole = self.exact(&fold(descriptor));
        let Cleaned { words, named, placed } = cleaned(descriptor, |word| self.suffixes.contains(word));
        let whole = whole.or_else(|| self.exact(&named));
        if words.is_empty() && whole.is_none() {
            return None;
        }
        let best = whole.or_else(|| self.exact(&words)).or_else(|| self.cut_off(&words));
        let best = best.or_else(|| self.inside(&words, placed));
        let best = best.filter(|best| best.1 >= THRESHOLD).or_else(|| self.almost(&words, placed));
        best.filter(|(_, score, _)| *score >= THRESHOLD).map(|(name, score, matched)| self.found(name, score, matched))
    }

    fn found(&self, name: u32, score: f64, matched: Matched) -> Found<'_> {
        let Brand { name, category, wikidata, .. } = &self.dictionary.brands[self.names[name as usize].brand as usize];
        Found { name, matched, score, category: *category, wikidata: wikidata.as_deref() }
    }

    fn exact(&self, words: &str) -> Option<(u32, f64, Matched)> {
        let place = match words.contains(' ') {
            true => self.whole.get(&*compact(words)),
            false => self.whole.get(words),
        };
        place.map(|place| (*place, if self.names[*place as usize].own { 1.0 } else { 0.98 }, Matched::Exact))
    }

    /// The only brand whose name goes on where this one was cut off. Acquirers cut after 22 characters or so.
    fn cut_off(&self, words: &str) -> Option<(u32, f64, Matched)> {
        let asked = compact(words);
        if asked.len() < SHORTEST_CUT {
            return None;
        }
        let name = |place: &u32| &self.names[*place as usize];
        let from = self.sorted.partition_point(|place| *name(place).compact < *asked);
        let mut longer = self.sorted[from..].iter().take_while(|place| name(place).compact.starts_with(&asked));
        let first = longer.next()?;
        longer.all(|place| name(place).brand == name(first).brand).then_some((*first, 0.93, Matched::Exact))
    }

    /// The name inside that explains most of the words.
    fn inside(&self, words: &str, placed: bool) -> Option<(u32, f64, Matched)> {
        let scored = self.brands.find(words).map(|inside| (inside.name, self.explained(words, &inside, placed)));
        let longer = |name: u32| self.names[name as usize].compact.len();
        let best = scored.max_by(|a, b| a.1.total_cmp(&b.1).then(longer(a.0).cmp(&longer(b.0))))?;
        Some((best.0, best.1, Matched::Brand))
    }

    /// How much of the words a name explains: words before it speak against it, words behind it less, and each the more
    /// the more it tells; words that say where are expected before a place.
    fn explained(&self, words: &str, inside: &Inside, placed: bool) -> f64 {
        let strength: f64 = words[inside.start..inside.end].split(' ').map(|word| self.telling(word)).sum();
        let before: f64 = words[..inside.start].split_whitespace().map(|word| self.telling(word)).sum();
        let behind: Vec<f64> = words[inside.end..].split_whitespace().map(|word| self.telling(word)).collect();
        let city = if placed { behind.len().min(2) } else { 0 };
        let (rest, place) = behind.split_at(behind.len() - city);
        // What the best known call themselves is followed by what they sell, and by much else.
        let rank = self.dictionary.brands[self.names[inside.name as usize].brand as usize].rank;
        let other = [0.1, 0.3].get(usize::from(rank)).copied().unwrap_or(0.8);
        // And they may be short.
        let strength = if rank < 2 { strength.max(0.6) } else { strength };
        let against = before * 1.2 + rest.iter().sum::<f64>() * other + place.iter().sum::<f64>() * 0.1;
        0.97 * strength / (strength + against)
    }

    /// How much a word tells: long and rare ones most.
    fn telling(&self, word: &str) -> f64 {
        let length = (word.len() as f64 / 6.0).clamp(0.6, 1.3);
        let frequency = f64::from(self.frequencies.get(word).copied().unwrap_or(0));
        length / (1.0 + (1.0 + frequency / 4.0).ln())
    }

    /// The name most like the whole, or like its first words.
    fn almost(&self, words: &str, placed: bool) -> Option<(u32, f64, Matched)> {
        let mut best: Option<(u32, f64)> = None;
        let ends = words.match_indices(' ').map(|(at, _)| at).take(3).chain([words.len()]);
        for end in ends {
            let asked = compact(&words[..end]);
            if asked.len() < fuzzy::SHORTEST {
                continue;
            }
            let found = self.fuzzy.find(&self.names, &asked);
            let Some(&(likeness, name)) = found.first() else { continue };
            let brand = |name: u32| self.names[name as usize].brand;
            // Two brands that are as like: it may be either.
            if found.iter().any(|other| brand(other.1) != brand(name) && likeness - other.0 < 0.01) {
                continue;
            }
            let explained = self.explained(words, &Inside { name, start: 0, end }, placed) / 0.97;
            let score = likeness * explained;
            if likeness >= 0.9 && best.is_none_or(|best| score > best.1) {
                best = Some((name, score));
            }
        }
        best.map(|(name, score)| (name, score * 0.95, Matched::Fuzzy))
    }
}

fn frequencies(names: &[Name]) -> HashMap<Box<str>, u32> {
    let mut frequencies: HashMap<Box<str>, u32> = HashMap::with_capacity(20_000);
    for word in names.iter().filter(|name| name.own).flat_map(|name| name.words.split(' ')) {
        match frequencies.get_mut(word) {
            Some(count) => *count += 1,
            None => drop(frequencies.insert(word.into(), 1)),
        }
    }
    frequencies
}

fn sorted(names: &[Name]) -> Vec<u32> {
    let mut sorted: Vec<u32> = (0..names.len() as u32).collect();
    sorted.sort_unstable_by_key(|place| &names[*place as usize].compact);
    sorted
}
