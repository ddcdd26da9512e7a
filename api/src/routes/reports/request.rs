//! A report, as a client describes it.

use std::collections::HashSet;

use gristmill_pipelines::messages::{BadCredits, Credits};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::problem::{Code, FieldError, Problem, Result};

const MAX_ID: usize = 128;
const MAX_NAME: usize = 200;
const MAX_BATCH: usize = 10_000;
/// Faults that an answer names.
const MAX_FAULTS: usize = 100;

/// A report to put.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReport {
    /// At most 128 characters, as messages name it.
    #[schema(example = "5392")]
    pub(super) id: String,
    /// At most 200 characters.
    #[schema(example = "Tenant Obligations Report")]
    pub(super) name: String,
    /// In credits, a multiple of 0.05.
    #[schema(value_type = f64, example = 79.5)]
    pub(super) credit_cost: serde_json::Value,
}

/// A report that can be.
pub(super) struct ReportPrice {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) credit_cost: Credits,
}

pub(super) fn check_one(report: NewReport) -> Result<ReportPrice> {
    let mut errors = Vec::new();
    let checked = report.checked("", &mut errors);
    finish(checked, errors)
}

/// All of them, or everything that is wrong with them.
pub(super) fn check(reports: Vec<NewReport>) -> Result<Vec<ReportPrice>> {
    let mut errors = Vec::new();
    if !(1..=MAX_BATCH).contains(&reports.len()) {
        let detail = format!("are {}: from 1 to {MAX_BATCH} are taken at once", reports.len());
        errors.push(FieldError { field: "items".to_owned(), detail });
        return finish(None, errors);
    }
    let (count, mut ids, mut checked) = (reports.len(), HashSet::new(), Vec::with_capacity(reports.len()));
    for (n, report) in reports.into_iter().enumerate() {
        if !ids.insert(report.id.clone()) {
            let detail = format!("'{}' is that of an earlier item too", report.id);
            errors.push(FieldError { field: format!("items[{n}].id"), detail });
        }
        checked.extend(report.checked(&format!("items[{n}]."), &mut errors));
    }
    let all = (checked.len() == count).then_some(checked);
    finish(all, errors)
}

fn finish<T>(checked: Option<T>, mut errors: Vec<FieldError>) -> Result<T> {
    match (checked, errors.first()) {
        (Some(checked), None) => Ok(checked),
        (_, first) => {
            let said = first.map(|first| format!("{} {}.", first.field, first.detail)).unwrap_or_default();
            let more = errors.len().saturating_sub(MAX_FAULTS);
            errors.truncate(MAX_FAULTS);
            let said = if more > 0 { format!("{said} {more} more faults are not listed.") } else { said };
            Err(Problem::new(Code::InvalidReport, said).errors(errors))
        }
    }
}

impl NewReport {
    /// `place`: where it stands in the body, for its errors.
    fn checked(self, place: &str, errors: &mut Vec<FieldError>) -> Option<ReportPrice> {
        let before = errors.len();
        let mut fault = |wrong: bool, field: &str, detail: &str| {
            if wrong {
                errors.push(FieldError { field: format!("{place}{field}"), detail: detail.to_owned() });
            }
        };
        let Self { id, name, credit_cost } = self;
        let odd = |text: &str| text.is_empty() || text.trim_ascii() != text || text.chars().any(char::is_control);
        fault(
            odd(&id) || id.chars().count() > MAX_ID,
            "id",
            "is empty, longer than 128 characters, or has blanks at its ends or control characters",
        );
        fault(id == "batch", "id", "is batch, which is an address of its own");
        fault(
            odd(&name) || name.chars().count() > MAX_NAME,
            "name",
            "is empty, longer than 200 characters, or has blanks at its ends or control characters",
        );
        let cost: Result<Credits, BadCredits> = match credit_cost {
            serde_json::Value::Number(number) => number.to_string().parse(),
            _ => Err(BadCredits::NotANumber),
        };
        if let Err(error) = &cost {
            fault(true, "credit_cost", &error.to_string());
        }
        let credit_cost = cost.ok()?;
        (errors.len() == before).then_some(ReportPrice { id, name, credit_cost })
    }
}
