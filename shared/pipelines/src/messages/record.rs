use crate::{
    Owner, ReasonCode, Table,
    copy::{Template, push_field, push_null},
    key::key_of_id,
    parse::{Fields, Pipeline},
    reject::Fault,
};

use super::{credits::credits, rules};

pub(crate) static TABLE: Table = Table {
    name: "messages",
    // those of fixed width first: see `Template`
    columns: &["message_key", "client_id", "upload_id", "line", "sent_at", "text_credits", "id", "report_id"],
    key: "message_key",
    segments: true,
    in_file_order: false,
    // of the text what it costs is kept
    said: &[("sent_at", "timestamp"), ("text_credits", "text"), ("report_id", "report_id")],
};

pub(crate) const COLUMNS: &[&str] = &["id", "timestamp", "text", "report_id"];
/// The last so many of them may be missing.
pub(crate) const OPTIONAL: usize = 1;

/// Checks, prices and encodes messages of one owner.
pub(crate) struct Messages {
    template: Template,
    key: usize,
    line: usize,
    sent_at: usize,
    text_credits: usize,
}

impl Messages {
    pub(crate) fn new(owner: &Owner) -> Self {
        let mut template = Template::new(TABLE.columns.len());
        let key = template.push(&[0; 16]);
        template.push(&owner.client_id.to_be_bytes());
        template.push(owner.upload_id.as_bytes());
        let line = template.push(&[0; 8]);
        let sent_at = template.push(&[0; 8]);
        let text_credits = template.push(&[0; 8]);
        Self { template, key, line, sent_at, text_credits }
    }
}

impl Pipeline for Messages {
    fn encode(&self, fields: &Fields<'_>, line: u64, out: &mut Vec<u8>) -> Result<u128, Fault> {
        let id = fields.get(0, COLUMNS[0]).identifier(rules::MAX_ID, ReasonCode::BadId)?;
        let sent_at = fields.get(1, COLUMNS[1]).timestamp()?;
        let text = text(fields)?;
        let report_id = report_id(fields)?;
        let key = key_of_id(id);

        let start = out.len();
        out.extend_from_slice(self.template.as_bytes());
        let tuple = &mut out[start..];
        tuple[self.key..][..16].copy_from_slice(key.as_bytes());
        tuple[self.line..][..8].copy_from_slice(&line.to_be_bytes());
        tuple[self.sent_at..][..8].copy_from_slice(&sent_at.to_be_bytes());
        tuple[self.text_credits..][..8].copy_from_slice(&credits(text).twentieths().to_be_bytes());
        push_field(out, id);
        match report_id {
            Some(id) => push_field(out, id),
            None => push_null(out),
        }
        Ok(key.as_u128())
    }

    fn faults(&self, fields: &Fields<'_>) -> Vec<Fault> {
        [
            fields.get(0, COLUMNS[0]).identifier(rules::MAX_ID, ReasonCode::BadId).err(),
            fields.get(1, COLUMNS[1]).timestamp().err(),
            text(fields).err(),
            report_id(fields).err(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn mention<'r>(&self, fields: &Fields<'r>) -> Option<&'r [u8]> {
        report_id(fields).ok().flatten()
    }
}

/// The text with its blanks, which cost as much as letters. It may be empty, but it must be there.
fn text<'r>(fields: &Fields<'r>) -> Result<&'r str, Fault> {
    let column = COLUMNS[2];
    if !fields.has(2) {
        let message = format!("{column} is missing: an empty text is \"\"");
        return Err(Fault { column: Some(column), code: ReasonCode::MissingField, message });
    }
    fields.exact(2, column).any_text()
}

fn report_id<'r>(fields: &Fields<'r>) -> Result<Option<&'r [u8]>, Fault> {
    match fields.get(3, COLUMNS[3]) {
        none if none.bytes.is_empty() => Ok(None),
        given => given.identifier(rules::MAX_ID, ReasonCode::BadId).map(Some),
    }
}
