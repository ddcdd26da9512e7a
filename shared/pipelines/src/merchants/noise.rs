//! Labelled descriptors, made from the dictionary by a model of what acquirers do to names. Synthetic: no list of real ones
//! may be shipped.
//!
//! Two thirds come from brands, names and aliases alike, at least four letters long, in Latin letters. A third come from
//! merchants that the dictionary does not know, and whose right answer is none: half are operators of the same source that are
//! no brands, half are a surname with a trade. To a name happens, independently:
//! a prefix of a payment service (35 %); a domain (`.COM`, one word only, 10 %); a joined or parted pair of words (5 %); one
//! edit (a letter left out, doubled, replaced, or two exchanged; names of six letters and more, 8 %); a cut after 22
//! characters; a legal suffix (4 %); the number of a shop (30 %); a telephone (10 %); a city and a state (35 %); a date or
//! month (8 %); a card's tail (8 %); capitals (80 %).

use std::collections::HashMap;

use rand_pcg::{Pcg64, rand_core::Rng};

use super::{
    Dictionary,
    fold::{compact, fold},
};

/// A descriptor and its merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledDescriptor {
    /// As a statement shows it.
    pub descriptor: String,
    /// The brands that have the name; none: a merchant that the dictionary does not know.
    pub merchants: Vec<&'static str>,
}

const PREFIXES: &[&str] = &[
    "SQ *",
    "TST* ",
    "PAYPAL *",
    "PP*",
    "SP ",
    "POS ",
    "POS PURCHASE ",
    "Payment ",
    "CHECKCARD 0412 ",
    "PURCHASE AUTHORIZED ON 04/12 ",
];
const CITIES: &[&str] = &[
    "SEATTLE WA",
    "NEW YORK NY",
    "AUSTIN TX",
    "SAN FRANCISCO CA",
    "MIAMI FL",
    "PORTLAND OR",
    "CHICAGO IL",
    "LONDON GB",
    "SAO PAULO BR",
    "BERLIN DE",
    "PARIS FR",
    "MADRID ES",
    "LISBOA PT",
    "DUBLIN IE",
    "RIO DE JANEIRO BR",
    "TORONTO ON",
];
const SUFFIXES: &[&str] = &[" INC", " LLC", " LTD", " GMBH", " SA", " LTDA"];
const TRADES: &[&str] = &[
    "BARBER SHOP",
    "DENTAL CARE",
    "AUTO REPAIR",
    "PLUMBING",
    "LAW OFFICE",
    "NAIL SALON",
    "CATERING",
    "ROOFING",
    "LANDSCAPING",
    "TAILOR",
    "PHOTOGRAPHY",
    "YOGA",
    "ANTIQUES",
    "UPHOLSTERY",
    "CHIROPRACTIC",
    "TUTORING",
    "BBQ",
    "KENNELS",
];
const SURNAMES: &[&str] = &[
    "HENDERSON",
    "OKAFOR",
    "VILLANUEVA",
    "KOWALCZYK",
    "FITZPATRICK",
    "NAKAGAWA",
    "ABERNATHY",
    "MONTEIRO",
    "LINDQVIST",
    "OYELARAN",
    "CASTELLANOS",
    "WHITTAKER",
    "DIMITROV",
    "SATHYANARAYAN",
    "BRANNIGAN",
    "ECHEVERRIA",
    "THORNQUIST",
    "MUKHERJEE",
];

/// `count` of them; another seed, others.
pub fn descriptors(dictionary: &'static Dictionary, seed: u64, count: usize) -> Vec<LabelledDescriptor> {
    let mut noise = Noise(Pcg64::new(u128::from(seed), 5));
    let latin = |name: &str| name.is_ascii() && compact(&fold(name)).len() >= 4;
    let known: Vec<(&'static str, &'static str)> = dictionary
        .brands
        .iter()
        .flat_map(|brand| std::iter::once(&brand.name).chain(&brand.aliases).map(|name| (&**name, &*brand.name)))
        .filter(|(name, _)| latin(name))
        .collect();
    let mut owners: HashMap<String, Vec<&'static str>> = HashMap::new();
    for (name, brand) in &known {
        owners.entry(compact(&fold(name))).or_default().push(brand);
    }
    (0..count)
        .map(|_| match noise.below(6) {
            0 => {
                let name = &*dictionary.strangers[noise.below(dictionary.strangers.len())];
                LabelledDescriptor { descriptor: noise.disturb(name), merchants: Vec::new() }
            }
            1 => {
                let name = format!("{} {}", noise.pick(SURNAMES), noise.pick(TRADES));
                LabelledDescriptor { descriptor: noise.disturb(&name), merchants: Vec::new() }
            }
            _ => {
                let (name, _) = known[noise.below(known.len())];
                LabelledDescriptor { descriptor: noise.disturb(name), merchants: owners[&compact(&fold(name))].clone() }
            }
        })
        .collect()
}

struct Noise(Pcg64);

impl Noise {
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    fn disturb(&mut self, name: &str) -> String {
        let mut name = name.to_owned();
        if self.chance(5) && name.contains(' ') {
            name = name.replacen(' ', ["", "-"][self.below(2)], 1);
        }
        if self.chance(8) && name.len() >= 6 {
            name = self.edit(&name);
        }
        if self.chance(10) && !name.contains([' ', '.']) {
            name.push_str(".COM");
        }
        name.truncate(22);
        if self.chance(4) {
            name.push_str(self.pick(SUFFIXES));
        }
        let mut text = if self.chance(35) { self.pick(PREFIXES).to_owned() } else { String::new() };
        text.push_str(&name);
        if self.chance(30) {
            let number = 100 + self.below(99_000);
            text.push_str(&match self.below(4) {
                0 => format!(" #{number}"),
                1 => format!(" F{number:05}"),
                2 => format!(" {number:05}"),
                _ => format!(" *{number:05}"),
            });
        }
        if self.chance(8) {
            text.push_str([" 04/12", " APR", " 12-04-2021"][self.below(3)]);
        }
        if self.chance(10) {
            text.push_str(&format!(
                " {:03}-{:03}-{:04}",
                200 + self.below(700),
                200 + self.below(700),
                self.below(10_000)
            ));
        }
        if self.chance(8) {
            text.push_str(&format!(" XXXX{:04}", self.below(10_000)));
        }
        if self.chance(35) {
            text.push(' ');
            text.push_str(self.pick(CITIES));
        }
        if self.chance(80) { text.to_uppercase() } else { text }
    }

    /// One edit, not of the first letter.
    fn edit(&mut self, name: &str) -> String {
        let mut letters: Vec<u8> = name.bytes().collect();
        let at = 1 + self.below(letters.len() - 2);
        match self.below(4) {
            0 => drop(letters.remove(at)),
            1 => letters.insert(at, letters[at]),
            2 => letters[at] = b'a' + self.below(26) as u8,
            _ => letters.swap(at, at + 1),
        }
        String::from_utf8_lossy(&letters).into_owned()
    }
}
