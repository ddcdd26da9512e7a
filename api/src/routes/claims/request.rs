//! A claim, as a client gives it.

use gristmill_claims::{CURRENCY, enter};
use gristmill_pipelines::{
    MAX_AMOUNT_MINOR,
    claims::{Broken, Line, Options, Values, check},
    values::trim,
};
use jiff::ToSpan as _;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    money::Money,
    problem::{Code, FieldError, Problem, Result},
};

/// Lines of a claim.
const LINES: usize = 1_000;

/// A claim to be entered. Its fields are checked by the rules that lines of files are checked by.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewClaim {
    #[schema(required, value_type = String, format = Date, example = "2018-03-28")]
    service_date: Option<String>,
    #[schema(required, value_type = String, example = "3730189502")]
    subscriber: Option<String>,
    /// Ten digits.
    #[schema(required, value_type = String, example = "1497775530")]
    provider_npi: Option<String>,
    /// The plan that pays.
    #[schema(required, value_type = String, example = "GRP-1000")]
    plan_group: Option<String>,
    #[schema(min_items = 1, max_items = 1000)]
    lines: Vec<NewLine>,
}

/// A line of it. Amounts are dollars with at most two decimals: numbers or texts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLine {
    #[schema(required, value_type = String, example = "D4211")]
    procedure: Option<String>,
    #[schema(example = "UR")]
    quadrant: Option<String>,
    #[schema(required, value_type = f64, example = 178)]
    provider_fees: Option<Value>,
    #[schema(required, value_type = f64, example = 178)]
    allowed_fees: Option<Value>,
    #[schema(required, value_type = f64, example = 35.6)]
    member_coinsurance: Option<Value>,
    #[schema(required, value_type = f64, example = 0)]
    member_copay: Option<Value>,
}

impl NewClaim {
    /// What it says, or everything that is wrong with it: each line, field and rule.
    pub(super) fn checked(&self, options: &Options) -> Result<enter::NewClaim> {
        if !(1..=LINES).contains(&self.lines.len()) {
            let detail = format!("it has {}, and a claim has 1 to {LINES}", self.lines.len());
            return Err(refusal(vec![FieldError { field: "lines".to_owned(), detail }]));
        }
        let mut errors = Vec::new();
        let mut lines = Vec::with_capacity(self.lines.len());
        for (n, line) in self.lines.iter().enumerate() {
            match self.line(line, options) {
                Ok(values) => lines.push((line, values)),
                Err(broken) => errors.extend(broken.into_iter().filter_map(|broken| error(n, broken))),
            }
        }
        let Some((_, first)) = lines.first().filter(|_| errors.is_empty()) else { return Err(refusal(errors)) };
        let net_fee: i64 = lines.iter().map(|(_, values)| values.net_fee()).sum();
        if net_fee.abs() > MAX_AMOUNT_MINOR {
            let sum = Money::of(net_fee, CURRENCY);
            let most = Money::of(MAX_AMOUNT_MINOR, CURRENCY);
            let detail = format!(
                "they come to {}, and a claim comes to {1} at most and to -{1} at least",
                sum.decimal(),
                most.decimal()
            );
            return Err(refusal(vec![FieldError { field: "lines".to_owned(), detail }]));
        }
        let epoch = jiff::civil::date(2000, 1, 1);
        let service_date = epoch.checked_add(first.day.days()).map_err(Problem::internal)?;
        let line = |(line, values): &(&NewLine, Values)| enter::NewLine {
            procedure: text(&line.procedure).to_owned(),
            quadrant: Some(text(&line.quadrant).to_owned()).filter(|quadrant| !quadrant.is_empty()),
            values: *values,
        };
        Ok(enter::NewClaim {
            subscriber: text(&self.subscriber).to_owned(),
            provider_npi: text(&self.provider_npi).to_owned(),
            plan_group: text(&self.plan_group).to_owned(),
            service_date,
            lines: lines.iter().map(line).collect(),
        })
    }

    fn line(&self, line: &NewLine, options: &Options) -> Result<Values, Vec<Broken>> {
        let amounts =
            [&line.provider_fees, &line.allowed_fees, &line.member_coinsurance, &line.member_copay].map(amount);
        let [fees, allowed, coinsurance, copay] = amounts.each_ref().map(|amount| trim(amount).as_bytes());
        let field = |given| text(given).as_bytes();
        check(
            &Line::new(
                [
                    field(&self.service_date),
                    field(&line.procedure),
                    field(&line.quadrant),
                    field(&self.plan_group),
                    field(&self.subscriber),
                    field(&self.provider_npi),
                    fees,
                    allowed,
                    coinsurance,
                    copay,
                ],
                options.today,
            ),
            options.switches,
        )
    }
}

fn text(given: &Option<String>) -> &str {
    trim(given.as_deref().unwrap_or_default())
}

/// As it is written; what is neither a number nor a text is no money, and the rule says so.
fn amount(given: &Option<Value>) -> String {
    match given {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Where a broken rule is in the request. What all lines have in common is told with the first.
fn error(line: usize, broken: Broken) -> Option<FieldError> {
    let Broken { column, rule, message, .. } = broken;
    let (name, common) = match column {
        "service date" => ("service_date", true),
        "Plan/Group #" => ("plan_group", true),
        "Subscriber#" => ("subscriber", true),
        "Provider NPI" => ("provider_npi", true),
        "submitted procedure" => ("procedure", false),
        "provider fees" => ("provider_fees", false),
        "Allowed fees" => ("allowed_fees", false),
        "member coinsurance" => ("member_coinsurance", false),
        "member copay" => ("member_copay", false),
        other => (other, false),
    };
    let field = if common { name.to_owned() } else { format!("lines[{line}].{name}") };
    (!common || line == 0).then(|| FieldError { field, detail: format!("{message} (rule {rule})") })
}

fn refusal(errors: Vec<FieldError>) -> Problem {
    let detail = match &errors[..] {
        [] => "The claim cannot be read.".to_owned(),
        [one] => format!("{}: {}", one.field, one.detail),
        [first, rest @ ..] => format!("{}: {}; and {} more", first.field, first.detail, rest.len()),
    };
    Problem::new(Code::InvalidClaim, detail).errors(errors)
}
