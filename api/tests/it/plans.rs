//! A client whose rows came in bulk, behind a far larger one's, and of whom the planner's statistics know nothing yet: no
//! statement of its routes may go through the other one's rows, or through its own more than once.
//!
//! What counts is how many rows each statement looks at, as Postgres tells it (`auto_explain`), not how long that takes.

mod explained;
mod filled;
mod knowledge;
mod requests;

use gristmill_billing::{bills::Filter, totals};
use sqlx::{Connection as _, PgConnection};

use self::{
    explained::Explained,
    filled::{LARGE, PART, SMALL},
    knowledge::Knowledge,
    requests::{BILLS, ONCE, RouteRequest},
};
use crate::support::api_on;

#[tokio::test]
async fn no_statement_goes_through_more_than_is_asked_for() {
    let stack = gristmill_platform::testing::stack().await;
    let mut explained = Explained::of(&stack).await;
    let api = api_on(stack, |_| {}).await;
    let filled = filled::fill(&api, PART).await;
    let mut dashboard = PgConnection::connect(&api.stack.database_url).await.unwrap();
    let there = requests::there(&api.json("/openapi.json").await);
    requests::check_all(&there, &requests::round(&filled, 0));
    for (base, knowledge) in [0, 20, 60].into_iter().zip(Knowledge::ALL) {
        knowledge.set(&api).await;
        explained.forget();
        let mut faults = Vec::new();
        // A prepared statement gets a plan for whatever it is asked after five times.
        let mut rounds: Vec<_> = (base..base + 7).map(|n| requests::round(&filled, n).into_iter()).collect();
        while let Some(same) = rounds.iter_mut().map(Iterator::next).collect::<Option<Vec<RouteRequest>>>() {
            for one in same {
                faults.extend(one.send(&api).await.err());
                faults.extend(explained.beyond(one.rows, &one.path));
            }
        }
        for filter in [Filter::default(), Filter { upload_id: Some(filled.upload), ..Filter::default() }] {
            let today = jiff::civil::date(2030, 2, 1);
            let found = totals::of(&mut dashboard, filled.client(), &filter, today).await.unwrap();
            assert_eq!(found.iter().map(|total| total.bills).sum::<i64>(), SMALL);
            faults.extend(explained.beyond(BILLS, "the dashboard's sums of bills"));
        }
        assert!(faults.is_empty(), "{knowledge:?}:\n{}", faults.join("\n"));
    }
    assert!(explained.seen > 14 * there.len(), "{} statements were explained", explained.seen);
    const { assert!(ONCE < LARGE as f64 / 5.0, "the other client's rows would show") };
}
