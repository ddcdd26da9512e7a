//! A client whose rows came in bulk, behind a far larger one's, and of whom the planner's statistics know nothing yet: no
//! statement of its routes may go through the other one's rows, or through its own more than once.
//!
//! What counts is how many rows each statement looks at, as Postgres tells it (`auto_explain`), not how long that takes.

mod asked;
mod explained;
mod filled;

use std::collections::BTreeSet;

use self::{
    asked::{Asked, ONCE},
    explained::Explained,
    filled::LARGE,
};
use crate::support::{Api, api_on};

#[tokio::test]
async fn no_statement_goes_through_more_than_is_asked_for() {
    let stack = gristmill_platform::testing::stack().await;
    let mut explained = Explained::of(&stack).await;
    let api = api_on(stack, |_| {}).await;
    let filled = filled::fill(&api).await;
    let document = api.json("/openapi.json").await;
    let routes =
        document["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        });
    let there: BTreeSet<String> = routes.collect();
    let round = asked::round(&filled, 0);
    let asked: BTreeSet<String> = round.iter().map(|asked| asked.operation.to_owned()).collect();
    assert_eq!(asked, there, "each route is asked, those that were added later too");
    for (base, knowledge) in [(0, Knowledge::OfTheLargeOne), (20, Knowledge::None)] {
        knowledge.set(&api).await;
        explained.forget();
        let mut faults = Vec::new();
        // A prepared statement gets a plan for whatever it is asked after five times.
        let mut rounds: Vec<_> = (base..base + 7).map(|n| asked::round(&filled, n).into_iter()).collect();
        while let Some(same) = rounds.iter_mut().map(Iterator::next).collect::<Option<Vec<Asked>>>() {
            for one in same {
                faults.extend(one.send(&api).await.err());
                faults.extend(explained.beyond(one.rows, &one.path));
            }
        }
        assert!(faults.is_empty(), "{knowledge:?}:\n{}", faults.join("\n"));
    }
    assert!(explained.seen > 14 * there.len(), "{} statements were explained", explained.seen);
    const { assert!(ONCE < LARGE as f64 / 5.0, "the other client's rows would show") };
}

/// What the planner has been told.
#[derive(Debug, Clone, Copy)]
enum Knowledge {
    /// The tables were analyzed while the large client was alone in them: of the small one it expects a row.
    OfTheLargeOne,
    /// The tables were never analyzed.
    None,
}

impl Knowledge {
    async fn set(self, api: &Api) {
        for table in filled::KNOWN {
            sqlx::query(&format!("analyze {table}")).execute(&api.stack.pool).await.unwrap();
        }
        if let Self::None = self {
            let sql = "delete from pg_statistic where starelid = any($1::text[]::regclass[]::oid[])";
            sqlx::query(sql).bind(filled::TABLES).execute(&api.stack.pool).await.unwrap();
            let sql = "update pg_class set reltuples = -1, relpages = 0 where oid = any($1::text[]::regclass[]::oid[])";
            sqlx::query(sql).bind(filled::TABLES).execute(&api.stack.pool).await.unwrap();
        }
    }
}
