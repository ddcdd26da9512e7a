//! What is known of merchants: `dictionary/brands.z`, built by `dictionary/build.py`.

use std::sync::LazyLock;

/// Names, categories and legal suffixes, as their sources write them.
pub struct Dictionary {
    /// Every brand, in a fixed order.
    pub brands: Vec<Brand>,
    /// What legal forms are called behind a name, such as `gmbh`.
    pub(super) suffixes: Vec<Box<str>>,
    /// Operators that are no brand, to test with.
    pub(super) strangers: Vec<Box<str>>,
}

/// A merchant that many know.
#[derive(Debug)]
pub struct Brand {
    /// As it writes itself.
    pub name: Box<str>,
    /// What it sells, where that is known.
    pub category: Option<Category>,
    /// Its item in Wikidata, such as `Q907311`.
    pub wikidata: Option<Box<str>>,
    /// Other names of it.
    pub aliases: Vec<Box<str>>,
    /// 0: best known, to 3. Where two have a name, the better known one is meant.
    pub(super) rank: u8,
}

/// A merchant category of ISO 18245.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Category {
    /// The code of four digits.
    pub mcc: &'static str,
    /// What the standard calls it.
    pub name: &'static str,
}

static BUILT: &[u8] = include_bytes!("../../dictionary/brands.z");

impl Dictionary {
    /// The dictionary that comes with the crate, unpacked once.
    pub fn built_in() -> &'static Self {
        static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
            let bytes = miniz_oxide::inflate::decompress_to_vec_zlib(BUILT).expect("the file is built by build.py");
            Dictionary::read(&String::from_utf8(bytes).expect("build.py writes UTF-8"))
        });
        &DICTIONARY
    }

    fn read(text: &str) -> Self {
        let mut dictionary = Self { brands: Vec::with_capacity(18_000), suffixes: Vec::new(), strangers: Vec::new() };
        // Categories are few, and live as long as the process.
        let mut categories: Vec<Category> = Vec::new();
        for line in text.lines() {
            let mut fields = line.split('\t');
            let kind = fields.next();
            let mut field = || fields.next().unwrap_or_default();
            match kind {
                Some("m") => categories.push(Category { mcc: leak(field()), name: leak(field()) }),
                Some("l") => dictionary.suffixes.push(field().into()),
                Some("u") => dictionary.strangers.push(field().into()),
                Some("b") => {
                    let (name, mcc, wikidata, rank, aliases) = (field(), field(), field(), field(), field());
                    let place = categories.binary_search_by_key(&mcc, |category| category.mcc).ok();
                    dictionary.brands.push(Brand {
                        name: name.into(),
                        category: place.map(|place| categories[place]),
                        wikidata: (!wikidata.is_empty()).then(|| wikidata.into()),
                        aliases: aliases.split('|').filter(|alias| !alias.is_empty()).map(Box::from).collect(),
                        rank: rank.parse().unwrap_or(3),
                    });
                }
                _ => {}
            }
        }
        dictionary
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(Box::from(text))
}
