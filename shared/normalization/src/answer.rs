use gristmill_pipelines::merchants::{MatchKind, MerchantMatch};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

/// A merchant, as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, FromRow)]
pub struct Answer {
    /// Its name; `None`: nobody that is known.
    pub merchant: Option<String>,
    /// `rule`, `exact`, `brand`, `fuzzy` or `external`.
    pub matched: Option<String>,
    /// The client's rule that said so.
    pub rule_id: Option<Uuid>,
    /// From 0 to 1.
    pub score: Option<f32>,
    /// Its merchant category code.
    pub mcc: Option<String>,
    /// What that code means.
    pub category: Option<String>,
    /// Its item in Wikidata.
    pub wikidata: Option<String>,
}

impl From<Option<MerchantMatch<'_>>> for Answer {
    fn from(found: Option<MerchantMatch<'_>>) -> Self {
        let Some(found) = found else { return Self::default() };
        let rule_id = match found.matched {
            MatchKind::Rule(id) => Some(id),
            _ => None,
        };
        Self {
            merchant: Some(found.name.to_owned()),
            matched: Some(found.matched.as_str().to_owned()),
            rule_id,
            score: Some(found.score as f32),
            mcc: found.category.map(|category| category.mcc.to_owned()),
            category: found.category.map(|category| category.name.to_owned()),
            wikidata: found.wikidata.map(str::to_owned),
        }
    }
}
