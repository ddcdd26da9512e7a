use crate::{
    Owner, Rules, Table,
    copy::{Template, push_field},
    parse::{Fields, Pipeline},
    reject::Fault,
};

use super::rules;

pub(crate) static TABLE: Table = Table {
    name: "debts",
    // those of fixed width first: see `Template`
    columns: &[
        "debt_id",
        "client_id",
        "upload_id",
        "line",
        "amount_minor",
        "due_date",
        "name",
        "government_id",
        "email",
    ],
    key: "debt_id",
    segments: true,
    in_file_order: false,
    said: &[
        ("amount_minor", "debtAmount"),
        ("due_date", "debtDueDate"),
        ("name", "name"),
        ("government_id", "governmentId"),
        ("email", "email"),
    ],
};

pub(crate) const COLUMNS: &[&str] = &["name", "governmentId", "email", "debtAmount", "debtDueDate", "debtId"];
/// Which of them are amounts.
pub(crate) const AMOUNTS: &[usize] = &[3];
/// Which of them are days.
pub(crate) const DATES: &[usize] = &[4];

/// Checks and encodes debts of one owner.
pub(crate) struct Debts {
    check_government_id: bool,
    template: Template,
    debt_id: usize,
    line: usize,
    amount: usize,
    due: usize,
}

impl Debts {
    pub(crate) fn new(owner: &Owner, rules: &Rules) -> Self {
        let mut template = Template::new(TABLE.columns.len());
        let debt_id = template.push(&[0; 16]);
        template.push(&owner.client_id.to_be_bytes());
        template.push(owner.upload_id.as_bytes());
        let line = template.push(&[0; 8]);
        let amount = template.push(&[0; 8]);
        let due = template.push(&[0; 4]);
        Self { check_government_id: rules.check_government_id, template, debt_id, line, amount, due }
    }
}

impl Pipeline for Debts {
    fn encode(&self, fields: &Fields<'_>, line: u64, out: &mut Vec<u8>) -> Result<u128, Fault> {
        let field = |place: usize| fields.get(place, COLUMNS[place]);
        let name = field(0).text(rules::MAX_NAME)?;
        let government_id = rules::government_id(field(1), self.check_government_id)?;
        let email = field(2).email()?;
        let amount = field(3).amount()?;
        let due = field(4).date()?;
        let debt_id = field(5).uuid()?;

        let start = out.len();
        out.extend_from_slice(self.template.as_bytes());
        let tuple = &mut out[start..];
        tuple[self.debt_id..][..16].copy_from_slice(debt_id.as_bytes());
        tuple[self.line..][..8].copy_from_slice(&line.to_be_bytes());
        tuple[self.amount..][..8].copy_from_slice(&amount.to_be_bytes());
        tuple[self.due..][..4].copy_from_slice(&due.to_be_bytes());
        for text in [name, government_id, email] {
            push_field(out, text);
        }
        Ok(debt_id.as_u128())
    }

    fn faults(&self, fields: &Fields<'_>) -> Vec<Fault> {
        let field = |place: usize| fields.get(place, COLUMNS[place]);
        [
            field(0).text(rules::MAX_NAME).err(),
            rules::government_id(field(1), self.check_government_id).err(),
            field(2).email().err(),
            field(3).amount().err(),
            field(4).date().err(),
            field(5).uuid().err(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
