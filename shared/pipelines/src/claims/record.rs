use uuid::Uuid;

use super::{
    Broken, Grouping, Options, id, line_id,
    rules::{self, Switches},
    values,
};
use crate::{
    Owner, ReasonCode, Rules, Table,
    copy::{Template, push_field, push_null},
    dialect,
    fields::{Field, one_reading},
    parse::{Fields, Pipeline},
    reject::Fault,
};

pub(crate) static TABLE: Table = Table {
    name: "claim_lines",
    // those of fixed width first: see `Template`
    columns: &[
        "line_id",
        "client_id",
        "upload_id",
        "line",
        "claim_id",
        "provider_fees_minor",
        "allowed_fees_minor",
        "coinsurance_minor",
        "copay_minor",
        "net_fee_minor",
        "service_date",
        "procedure_code",
        "quadrant",
        "plan_group",
        "subscriber",
        "provider_npi",
    ],
    key: "line_id",
    segments: false,
    in_file_order: false,
    // a line's key is its own
    said: &[],
};

pub(crate) const COLUMNS: &[&str] = &[
    "service date",
    "submitted procedure",
    "quadrant",
    "Plan/Group #",
    "Subscriber#",
    "Provider NPI",
    "provider fees",
    "Allowed fees",
    "member coinsurance",
    "member copay",
];
pub(super) const SERVICE_DATE: usize = 0;
pub(super) const PROCEDURE: usize = 1;
pub(super) const QUADRANT: usize = 2;
pub(super) const PLAN_GROUP: usize = 3;
pub(super) const SUBSCRIBER: usize = 4;
pub(super) const PROVIDER: usize = 5;
pub(super) const PROVIDER_FEES: usize = 6;
pub(super) const ALLOWED_FEES: usize = 7;
pub(super) const COINSURANCE: usize = 8;
pub(super) const COPAY: usize = 9;
/// Which of them are amounts.
pub(crate) const AMOUNTS: &[usize] = &[PROVIDER_FEES, ALLOWED_FEES, COINSURANCE, COPAY];
/// Which of them are days.
pub(crate) const DATES: &[usize] = &[SERVICE_DATE];

/// A line as it came: its trimmed fields, in the order of a file's columns, and the day on which it came.
#[derive(Debug, Clone, Copy)]
pub struct Line<'r> {
    fields: [&'r [u8]; 10],
    today: Option<i32>,
    written: dialect::Values,
}

impl<'r> Line<'r> {
    /// Service date, procedure, quadrant, plan, subscriber, provider, and the four amounts: provider's fees, allowed fees,
    /// coinsurance, copay. The day: as in [`Options::today`].
    pub const fn new(fields: [&'r [u8]; 10], today: Option<i32>) -> Self {
        Self { fields, today, written: dialect::Values::UNKNOWN }
    }

    /// The same in a file whose amounts and dates are written so.
    #[must_use]
    pub const fn written(self, written: dialect::Values) -> Self {
        Self { written, ..self }
    }

    pub(super) fn money(&self, text: &[u8]) -> Option<i64> {
        values::money(text, self.written)
    }

    pub(super) fn day(&self, text: &[u8]) -> Option<i32> {
        values::day(text, self.today, self.written)
    }

    pub(super) fn field(&self, column: usize) -> &'r [u8] {
        self.fields[column]
    }

    pub(super) fn today(&self) -> Option<i32> {
        self.today
    }

    /// Its amounts and its day; `None` where they are none, which rules say first.
    fn values(&self) -> Option<Values> {
        let money = |column| self.money(self.field(column));
        Some(Values {
            day: self.day(self.field(SERVICE_DATE))?,
            provider_fees: money(PROVIDER_FEES)?,
            allowed_fees: money(ALLOWED_FEES)?,
            coinsurance: money(COINSURANCE)?,
            copay: money(COPAY)?,
        })
    }
}

/// What a line's texts say; amounts in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// Days since 2000-01-01.
    pub day: i32,
    /// What the provider asks.
    pub provider_fees: i64,
    /// What the plan allows.
    pub allowed_fees: i64,
    /// The member's share.
    pub coinsurance: i64,
    /// The member's fixed part.
    pub copay: i64,
}

impl Values {
    /// Provider's fees + coinsurance + copay − allowed fees; may be negative.
    pub fn net_fee(&self) -> i64 {
        self.provider_fees + self.coinsurance + self.copay - self.allowed_fees
    }
}

/// What a line says, or every rule that it breaks.
pub fn check(line: &Line<'_>, switches: Switches) -> Result<Values, Vec<Broken>> {
    let broken: Vec<Broken> = rules::broken(line, switches).map(|(rule, column)| told(line, rule, column)).collect();
    match line.values() {
        Some(values) if broken.is_empty() => Ok(values),
        _ => Err(broken),
    }
}

fn told(line: &Line<'_>, rule: &'static rules::Rule, column: usize) -> Broken {
    let field = Field { column: COLUMNS[column], bytes: line.field(column), plain: false, values: line.written };
    let readings = match (rule.code, line.written.decimal) {
        (ReasonCode::BadAmount, None) => values::readings(field.bytes),
        (ReasonCode::BadAmount, Some(_)) => line.written.readings(field.bytes),
        _ => None,
    };
    let Fault { code, message, .. } = match (rule.code, readings) {
        (ReasonCode::BadId, _) => field.shortened(rule.code),
        (code, Some(readings)) => field.fault(code, &one_reading(&readings)),
        (code, None) => field.fault(code, rule.expected(line.written)),
    };
    Broken { column: COLUMNS[column], rule: rule.name, code, message }
}

/// Checks and encodes lines of one owner.
pub(crate) struct Claims {
    owner: Owner,
    options: Options,
    template: Template,
    key: usize,
    line: usize,
    claim: usize,
    amounts: [usize; 5],
    day: usize,
}

impl Claims {
    pub(crate) fn new(owner: &Owner, rules: &Rules) -> Self {
        let mut template = Template::new(TABLE.columns.len());
        let key = template.push(&[0; 16]);
        template.push(&owner.client_id.to_be_bytes());
        template.push(owner.upload_id.as_bytes());
        let line = template.push(&[0; 8]);
        let claim = template.push(&[0; 16]);
        let amounts = [(); 5].map(|()| template.push(&[0; 8]));
        let day = template.push(&[0; 4]);
        Self { owner: *owner, options: rules.claims, template, key, line, claim, amounts, day }
    }

    fn line<'r>(&self, fields: &Fields<'r>) -> Line<'r> {
        let texts = std::array::from_fn(|column| fields.get(column, COLUMNS[column]).bytes);
        Line::new(texts, self.options.today).written(fields.values())
    }

    fn claim(&self, line: &Line<'_>, day: i32, number: u64) -> Uuid {
        match self.options.grouping {
            Grouping::Visit => id::of_visit(&self.owner, line.field(SUBSCRIBER), line.field(PROVIDER), day),
            Grouping::Line => id::of_line(&self.owner, number),
        }
    }
}

/// As a reject has it.
fn fault(line: &Line<'_>, rule: &'static rules::Rule, column: usize) -> Fault {
    let Broken { column, rule, code, message } = told(line, rule, column);
    Fault { column: Some(column), code, message: format!("{message} (rule {rule})") }
}

impl Pipeline for Claims {
    fn encode(&self, fields: &Fields<'_>, number: u64, out: &mut Vec<u8>) -> Result<u128, Fault> {
        let line = self.line(fields);
        if let Some((rule, column)) = rules::broken(&line, self.options.switches).next() {
            return Err(fault(&line, rule, column));
        }
        let Some(values) = line.values() else {
            let message = "its amounts or its date cannot be read though no rule says why".to_owned();
            return Err(Fault { column: None, code: ReasonCode::BadAmount, message });
        };
        let claim = self.claim(&line, values.day, number);
        let key = line_id(claim, number);
        let Values { provider_fees, allowed_fees, coinsurance, copay, day } = values;

        let start = out.len();
        out.extend_from_slice(self.template.as_bytes());
        let tuple = &mut out[start..];
        tuple[self.key..][..16].copy_from_slice(key.as_bytes());
        tuple[self.line..][..8].copy_from_slice(&number.to_be_bytes());
        tuple[self.claim..][..16].copy_from_slice(claim.as_bytes());
        let amounts = [provider_fees, allowed_fees, coinsurance, copay, values.net_fee()];
        for (place, amount) in self.amounts.iter().zip(amounts) {
            tuple[*place..][..8].copy_from_slice(&amount.to_be_bytes());
        }
        tuple[self.day..][..4].copy_from_slice(&day.to_be_bytes());
        push_field(out, line.field(PROCEDURE));
        match line.field(QUADRANT) {
            b"" => push_null(out),
            quadrant => push_field(out, quadrant),
        }
        for column in [PLAN_GROUP, SUBSCRIBER, PROVIDER] {
            push_field(out, line.field(column));
        }
        Ok(key.as_u128())
    }

    fn faults(&self, fields: &Fields<'_>) -> Vec<Fault> {
        let line = self.line(fields);
        rules::broken(&line, self.options.switches).map(|(rule, column)| fault(&line, rule, column)).collect()
    }
}
