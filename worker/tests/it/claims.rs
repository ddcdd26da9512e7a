//! Claims: of files, their payments, and what becomes of both when they are taken back.

mod files;
mod payments;
mod sums;
mod taken_back;
mod too_large;

use gristmill_claims::{
    accounting,
    claims::{self, Claim, Filter},
    providers,
};
use gristmill_pipelines::Kind;
use gristmill_uploads::{NewUpload, Policy, Upload};
use jiff::civil::Date;

use crate::harness::{Harness, accepted};

const DIRTY: &str = "\u{feff}Service Date ,\"SUBMITTED procedure \",Quadrant,\"plan/group #\",subscriber#,\"provider npi\",\"PROVIDER fees\",\"allowed Fees\",\"Member Coinsurance\",\"member COPAY\"\r\n";

/// A visit as real files have it: 0, 0, 81.25 and 35.60.
const VISIT: &str = "3/28/18 0:00,D0180,,GRP-1000,3730189502,1497775530,$100.00 ,$100.00 ,$0.00 ,$0.00 \r\n\
    3/28/18 0:00,D0210,,GRP-1000,3730189502,1497775530,$108.00 ,$108.00 ,$0.00 ,$0.00 \r\n\
    3/28/18 0:00,D4346,,GRP-1000,3730189502,1497775530,$130.00 ,$65.00 ,$16.25 ,$0.00 \r\n\
    3/28/18 0:00,D4211,UR,GRP-1000,3730189502,1497775530,$178.00 ,$178.00 ,$35.60 ,$0.00 \r\n";

fn new_upload(harness: &Harness, policy: Policy) -> NewUpload {
    NewUpload { kind: Kind::Claims, ..harness.new_upload(policy) }
}

async fn accept(harness: &Harness, policy: Policy, file: impl AsRef<[u8]>) -> Upload {
    accepted(harness.receive(new_upload(harness, policy), file).await)
}

async fn run_file(harness: &Harness, file: impl AsRef<[u8]>) -> Upload {
    let upload = accept(harness, Policy::Partial, file).await;
    harness.drain().await;
    harness.find(upload.id).await
}

async fn all(harness: &Harness) -> Vec<Claim> {
    claims::list(&harness.stack.pool, harness.client_id, &Filter::default(), None, 100).await.unwrap()
}

async fn top(harness: &Harness, from: Option<Date>, to: Option<Date>) -> Vec<(String, i64)> {
    let found = providers::top(&harness.stack.pool, harness.client_id, from, to, 10).await.unwrap();
    found
        .into_iter()
        .map(|provider| (provider.provider_npi, i64::try_from(provider.net_fee_minor.0).unwrap()))
        .collect()
}

/// Account, purpose and amount of everything in the books.
async fn entries(harness: &Harness) -> Vec<(String, String, i64)> {
    sqlx::query_as(
        "select a.kind || ' ' || a.reference, e.purpose, e.amount_minor
         from ledger_entries e join ledger_accounts a on a.id = e.account_id order by 2, 1",
    )
    .fetch_all(&harness.stack.pool)
    .await
    .unwrap()
}

/// What the auditor looks for is nowhere.
async fn in_order(harness: &Harness) {
    assert_eq!(accounting::disagreements(&harness.stack.pool).await.unwrap(), []);
    assert_eq!(harness.count("select coalesce(sum(amount_minor), 0)::bigint from ledger_entries").await, 0);
    assert_eq!(providers::miscounted(&harness.stack.pool, 1_000).await.unwrap(), []);
}

fn entry(account: &str, purpose: &str, amount: i64) -> (String, String, i64) {
    (account.to_owned(), purpose.to_owned(), amount)
}

const COLUMNS: &str = "Service Date,Submitted Procedure,Quadrant,Plan/Group #,Subscriber#,Provider NPI,Provider Fees,\
    Allowed Fees,Member Coinsurance,Member Copay\n";

/// Lines of claims: what is behind the member's number is the plan, and what one line comes to.
fn fees(lines: &[(&str, &str, &str)]) -> String {
    let line = |(subscriber, plan, fee): &(&str, &str, &str)| {
        format!("2024-02-03,D0180,,{plan},{subscriber},1497775530,{fee},0,0,0\n")
    };
    lines.iter().map(line).collect()
}
