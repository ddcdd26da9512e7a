use std::{
    collections::{HashMap, HashSet},
    hash::{Hash, Hasher},
    sync::{LazyLock, PoisonError, RwLock},
};

use uuid::Uuid;

use super::{
    Brand, Category, Dictionary, Rules,
    brands::{Brands, Inside},
    clean::{CleanName, cleaned},
    exact::{self, Name},
    fold::{compact, fold},
    fuzzy::{self, Fuzzy},
    generic::is_generic,
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
    /// What was found by the dictionary before, by descriptor: statements name the same merchants again and again.
    before: [Memo; SHARDS],
}

type Best = (u32, f64, MatchKind);
type Memo = RwLock<HashMap<Box<str>, Option<Best>>>;

/// Parts of the memory of descriptors, so that threads rarely wait for each other.
const SHARDS: usize = 64;
/// Descriptors that a part remembers before it is emptied: some 10 MiB in all.
const REMEMBERED: usize = 2_048;

/// By which way a merchant was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchKind {
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
pub struct MerchantMatch<'a> {
    /// As it writes itself.
    pub name: &'a str,
    /// How it was found.
    pub matched: MatchKind,
    /// From [`THRESHOLD`] to 1.
    pub score: f64,
    /// What it sells.
    pub category: Option<Category>,
    /// Its item in Wikidata.
    pub wikidata: Option<&'a str>,
}

impl MatchKind {
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
        let (brands, (fuzzy, (frequencies, sorted))) =
            rayon::join(|| Brands::new(&names), || (Fuzzy::new(&names), (frequencies(&names), sorted(&names))));
        Self {
            suffixes: dictionary.suffixes.iter().map(|suffix| fold(suffix)).collect(),
            dictionary,
            names,
            whole,
            brands,
            fuzzy,
            sorted,
            frequencies,
            before: std::array::from_fn(|_| Memo::default()),
        }
    }

    /// The merchant that a descriptor names, by the client's rules first; `None`: nobody that is known.
    pub fn find<'a>(&'a self, descriptor: &str, rules: &'a Rules) -> Option<MerchantMatch<'a>> {
        Self::by_rule(descriptor, rules).or_else(|| self.best(descriptor).map(|best| self.found(best)))
    }

    /// As [`find`](Self::find), which remembers.
    pub fn find_again<'a>(&'a self, descriptor: &str, rules: &'a Rules) -> Option<MerchantMatch<'a>> {
        if let Some(found) = Self::by_rule(descriptor, rules) {
            return Some(found);
        }
        let best = self.remembered(descriptor).unwrap_or_else(|| {
            let best = self.best(descriptor);
            let mut shard = self.shard(descriptor).write().unwrap_or_else(PoisonError::into_inner);
            if shard.len() >= REMEMBERED {
                shard.clear();
            }
            shard.insert(descriptor.into(), best);
            best
        });
        best.map(|best| self.found(best))
    }

    /// What [`find_again`](Self::find_again) remembers of a descriptor, of which no rule speaks: costs one look.
    pub fn known(&self, descriptor: &str) -> Option<Option<MerchantMatch<'_>>> {
        self.remembered(descriptor).map(|best| best.map(|best| self.found(best)))
    }

    fn remembered(&self, descriptor: &str) -> Option<Option<Best>> {
        self.shard(descriptor).read().unwrap_or_else(PoisonError::into_inner).get(descriptor).copied()
    }

    fn shard(&self, descriptor: &str) -> &Memo {
        let mut hasher = std::hash::DefaultHasher::new();
        descriptor.hash(&mut hasher);
        &self.before[hasher.finish() as usize % SHARDS]
    }

    fn by_rule<'a>(descriptor: &str, rules: &'a Rules) -> Option<MerchantMatch<'a>> {
        let (id, name) = rules.find(descriptor)?;
        Some(MerchantMatch { name, matched: MatchKind::Rule(id), score: 1.0, category: None, wikidata: None })
    }

    /// The name that the dictionary has for a descriptor.
    fn best(&self, descriptor: &str) -> Option<Best> {
        // Some names are what others have beside their names: `Fitness 19`, `Dash In`, `Apple Pay`.
        let whole = self.exact(&fold(descriptor));
        let CleanName { words, named, placed } = cleaned(descriptor, |word| self.suffixes.contains(word));
        let whole = whole.or_else(|| self.exact(&named));
        if (words.is_empty() || is_generic(&words)) && (whole.is_none() || is_generic(&named)) {
            return None;
        }
        let best = whole.or_else(|| self.exact(&words)).or_else(|| self.cut_off(&words));
        let best = best.or_else(|| self.inside(&words, placed));
        let best = best.filter(|best| best.1 >= THRESHOLD).or_else(|| self.almost(&words, placed));
        best.filter(|(_, score, _)| *score >= THRESHOLD)
    }

    fn found(&self, (name, score, matched): Best) -> MerchantMatch<'_> {
        let Brand { name, category, wikidata, .. } = &self.dictionary.brands[self.names[name as usize].brand as usize];
        MerchantMatch { name, matched, score, category: *category, wikidata: wikidata.as_deref() }
    }

    fn exact(&self, words: &str) -> Option<Best> {
        let place = match words.contains(' ') {
            true => self.whole.get(&*compact(words)),
            false => self.whole.get(words),
        };
        place.map(|place| (*place, if self.names[*place as usize].own { 1.0 } else { 0.98 }, MatchKind::Exact))
    }

    /// The only brand whose name goes on where this one was cut off. Acquirers cut after 22 characters or so.
    fn cut_off(&self, words: &str) -> Option<Best> {
        let asked = compact(words);
        if asked.len() < SHORTEST_CUT {
            return None;
        }
        let name = |place: &u32| &self.names[*place as usize];
        let from = self.sorted.partition_point(|place| *name(place).compact < *asked);
        let mut longer = self.sorted[from..].iter().take_while(|place| name(place).compact.starts_with(&asked));
        let first = longer.next()?;
        longer.all(|place| name(place).brand == name(first).brand).then_some((*first, 0.93, MatchKind::Exact))
    }

    /// The name inside that explains most of the words.
    fn inside(&self, words: &str, placed: bool) -> Option<Best> {
        let scored = self.brands.find(words).map(|inside| (inside.name, self.explained(words, &inside, placed)));
        // `Carrefour Market` is said to be that, though `Carrefour` explains it as well.
        let preferred = |(name, score): &(u32, f64)| score + 0.005 * self.names[*name as usize].compact.len() as f64;
        let best = scored.max_by(|a, b| preferred(a).total_cmp(&preferred(b)))?;
        Some((best.0, best.1, MatchKind::Brand))
    }

    /// How much of the words a name explains: words before it speak against it, words behind it less, and each the more
    /// the more it tells; words that say where are expected before a place.
    fn explained(&self, words: &str, inside: &Inside, placed: bool) -> f64 {
        let strength: f64 = words[inside.start..inside.end].split(' ').map(|word| self.telling(word)).sum();
        let before: f64 = words[..inside.start].split_whitespace().map(|word| self.telling(word)).sum();
        let behind: Vec<f64> = words[inside.end..].split_whitespace().map(|word| self.telling(word)).collect();
        let (rest, place) = behind.split_at(behind.len() - if placed { behind.len().min(2) } else { 0 });
        // What the best known call themselves is followed by what they sell, and by much else.
        let rank = self.dictionary.brands[self.names[inside.name as usize].brand as usize].rank;
        let (other, city) = [(0.07, 0.05), (0.3, 0.1)].get(usize::from(rank)).copied().unwrap_or((0.8, 0.1));
        // And they may be short.
        let strength = if rank < 2 { strength.max(0.6) } else { strength };
        let against = before * 1.2 + rest.iter().sum::<f64>() * other + place.iter().sum::<f64>() * city;
        0.97 * strength / (strength + against)
    }

    /// How much a word tells: long and rare ones most.
    fn telling(&self, word: &str) -> f64 {
        let length = (word.len() as f64 / 6.0).clamp(0.6, 1.3);
        let frequency = f64::from(self.frequencies.get(word).copied().unwrap_or(0));
        length / (1.0 + (1.0 + frequency / 4.0).ln())
    }

    /// The name most like the whole, or like its first words.
    fn almost(&self, words: &str, placed: bool) -> Option<Best> {
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
        best.map(|(name, score)| (name, score * 0.95, MatchKind::Fuzzy))
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
