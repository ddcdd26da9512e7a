use crate::{
    Owner, ReasonCode, Rules, Table,
    copy::{Template, push_field, push_null},
    key::key_of_id,
    merchants::{MatchKind, Normalizer},
    parse::{Fields, Pipeline},
    reject::Fault,
};

use super::rules;

pub(crate) static TABLE: Table = Table {
    name: "transactions",
    // those of fixed width first: see `Template`
    columns: &[
        "transaction_id",
        "client_id",
        "upload_id",
        "line",
        "amount_minor",
        "date",
        "description",
        "currency",
        "id",
        "merchant",
        "matched",
        "rule_id",
        "score",
        "mcc",
        "wikidata",
    ],
    key: "transaction_id",
    segments: true,
    in_file_order: true,
    said: &[("amount_minor", "amount"), ("date", "date"), ("description", "description"), ("currency", "currency")],
};

pub(crate) const COLUMNS: &[&str] = &["date", "description", "amount", "currency", "id"];
/// Which of them are amounts.
pub(crate) const AMOUNTS: &[usize] = &[2];
/// Which of them are days.
pub(crate) const DATES: &[usize] = &[0];
/// The last so many of them may be missing.
pub(crate) const OPTIONAL: usize = 2;

/// Checks, normalizes and encodes transactions of one owner.
pub(crate) struct Transactions<'r> {
    owner: Owner,
    rules: &'r Rules,
    normalizer: &'static Normalizer,
    template: Template,
    key: usize,
    line: usize,
    amount: usize,
    date: usize,
}

impl<'r> Transactions<'r> {
    pub(crate) fn new(owner: &Owner, rules: &'r Rules) -> Self {
        let mut template = Template::new(TABLE.columns.len());
        let key = template.push(&[0; 16]);
        template.push(&owner.client_id.to_be_bytes());
        template.push(owner.upload_id.as_bytes());
        let line = template.push(&[0; 8]);
        let amount = template.push(&[0; 8]);
        let date = template.push(&[0; 4]);
        Self { owner: *owner, rules, normalizer: Normalizer::built_in(), template, key, line, amount, date }
    }
}

impl Pipeline for Transactions<'_> {
    fn encode(&self, fields: &Fields<'_>, line: u64, out: &mut Vec<u8>) -> Result<u128, Fault> {
        let field = |place: usize| fields.get(place, COLUMNS[place]);
        let date = field(0).date()?;
        let description = field(1).text(rules::MAX_DESCRIPTION)?;
        let amount = field(2).signed_amount()?;
        let currency = currency(fields)?;
        let id = id(fields)?;
        let key = match id {
            Some(id) => key_of_id(id),
            None => rules::key_of_line(self.owner.upload_id, line),
        };

        let start = out.len();
        out.extend_from_slice(self.template.as_bytes());
        let tuple = &mut out[start..];
        tuple[self.key..][..16].copy_from_slice(key.as_bytes());
        tuple[self.line..][..8].copy_from_slice(&line.to_be_bytes());
        tuple[self.amount..][..8].copy_from_slice(&amount.to_be_bytes());
        tuple[self.date..][..4].copy_from_slice(&date.to_be_bytes());
        push_field(out, description);
        push(out, currency.as_ref().map(<[u8; 3]>::as_slice));
        push(out, id);
        let descriptor = String::from_utf8_lossy(description);
        let found = self.normalizer.find_again(&descriptor, &self.rules.merchants);
        push(out, found.map(|found| found.name.as_bytes()));
        push(out, found.map(|found| found.matched.as_str().as_bytes()));
        match found.map(|found| found.matched) {
            Some(MatchKind::Rule(id)) => push_field(out, id.as_bytes()),
            _ => push_null(out),
        }
        match found {
            Some(found) => push_field(out, &(found.score as f32).to_be_bytes()),
            None => push_null(out),
        }
        push(out, found.and_then(|found| found.category).map(|category| category.mcc.as_bytes()));
        push(out, found.and_then(|found| found.wikidata).map(str::as_bytes));
        Ok(key.as_u128())
    }

    fn faults(&self, fields: &Fields<'_>) -> Vec<Fault> {
        let field = |place: usize| fields.get(place, COLUMNS[place]);
        [
            field(0).date().err(),
            field(1).text(rules::MAX_DESCRIPTION).err(),
            field(2).signed_amount().err(),
            currency(fields).err(),
            id(fields).err(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn currency(fields: &Fields<'_>) -> Result<Option<[u8; 3]>, Fault> {
    match fields.get(3, COLUMNS[3]) {
        empty if empty.bytes.is_empty() => Ok(None),
        given => given.currency().map(Some),
    }
}

fn id<'r>(fields: &Fields<'r>) -> Result<Option<&'r [u8]>, Fault> {
    match fields.has(4) {
        true => fields.get(4, COLUMNS[4]).identifier(rules::MAX_ID, ReasonCode::BadId).map(Some),
        false => Ok(None),
    }
}

fn push(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => push_field(out, value),
        None => push_null(out),
    }
}
