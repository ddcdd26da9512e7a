//! Which of a shard's bills nothing can carry: counted before anybody is mailed.

use gristmill_billing::issue::Ways;
use gristmill_bills::{BillFacts, Currency, Money, Party};
use gristmill_queue::JobError;
use jiff_sqlx::Date;
use rayon::iter::{IndexedParallelIterator as _, IntoParallelRefMutIterator as _, ParallelIterator as _};

use super::debts::Debt;
use crate::load::on_rayon;

/// Notes at each debt whether anything can carry its bill, whose numbers begin with `first`.
pub(super) async fn look(
    ways: &Ways,
    currency: Currency,
    issued_on: Date,
    first: i64,
    mut debts: Vec<Debt>,
) -> Result<Vec<Debt>, JobError> {
    let ways = ways.clone();
    on_rayon(move || {
        let epoch = jiff::civil::date(2000, 1, 1);
        debts.par_iter_mut().enumerate().for_each(|(n, debt)| {
            let due_on = epoch.saturating_add(jiff::Span::new().days(debt.due));
            let facts = BillFacts {
                number: first.unsigned_abs() + n as u64,
                payer: Party::default(),
                amount: Money { minor: debt.amount, currency },
                paid_minor: debt.paid,
                cancelled: false,
                overdue: false,
                issued_on: issued_on.to_jiff(),
                due_on,
                reference: None,
                description: None,
            };
            debt.unpayable = !ways.carry(&facts);
        });
        debts
    })
    .await
}
