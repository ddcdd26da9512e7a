//! What is wrong is said before anything is claimed, and says what to do.

use std::time::Duration;

use gristmill::{Error, prelude::*};

use crate::support::{Add, End, add, app, quiet};

#[derive(Clone)]
struct Smtp;

async fn send(_: End, _: Data<Smtp>) {}

#[tokio::test]
async fn data_that_the_app_was_not_given() {
    let expected = "the handler of job `end` takes `Data<it::refused::Smtp>`, and the App has none of that type: write \
                    `.data(…)` with a `it::refused::Smtp` before the App starts";
    // Nothing is asked of engines: there are none.
    let error = app().job(send).start().await.unwrap_err();
    assert!(matches!(error, Error::MissingData { job: "end", .. }));
    assert_eq!(error.to_string(), expected);
    let error = app().job(send).inline().unwrap_err();
    assert_eq!(error.to_string(), expected);
    app().job(send).data(Smtp).check().unwrap();
}

#[tokio::test]
async fn data_of_the_handler_for_lost_workers_counts_too() {
    async fn body(_: End) {}
    let error = app().job_with(body, |job| job.lost(send)).check().unwrap_err();
    assert!(matches!(error, Error::MissingData { job: "end", .. }), "{error}");
}

#[tokio::test]
async fn two_handlers_of_one_job() {
    async fn other(_: Add) {}
    let error = app().job(add).job(other).check().unwrap_err();
    assert_eq!(error.to_string(), "job `add` has two handlers: register one, or give one of the jobs another NAME");
}

#[tokio::test]
async fn engines_that_were_not_given() {
    assert!(matches!(app().job(add).start().await.unwrap_err(), Error::NoDatabase));
    let error = format!("{:?}", app().job(add).run().await.unwrap_err());
    assert_eq!(error, "no database was given: set DATABASE_URL, such as postgres://user:password@host/database");
    let test = app().job(add).test().await.unwrap();
    let mut settings = test.settings().clone();
    settings.database_url = Some("postgres://nobody@127.0.0.1:1/none".into());
    settings.database_timeout = Duration::from_millis(300);
    let error = format!("{:?}", App::new(settings.clone()).connect().await.unwrap_err());
    assert!(error.starts_with("Postgres cannot be reached: start it, or correct DATABASE_URL: "), "{error}");
    settings.database_url = Some("not a url".into());
    assert!(matches!(App::new(settings).connect().await.unwrap_err(), Error::Database(_)));
}

#[tokio::test]
async fn a_redis_that_cannot_be_used() {
    let test = app().job(add).test().await.unwrap();
    let mut settings = test.settings().clone();
    settings.redis_url = Some("rediss://:secret@127.0.0.1:1/".into());
    let error = format!("{:?}", App::new(settings.clone()).job(add).start().await.unwrap_err());
    assert!(error.starts_with("the broker of REDIS_URL cannot be used; run a proxy that speaks TLS"), "{error}");
    assert!(error.ends_with("REDIS_URL asks for TLS (rediss://), which is not built in"), "{error}");
    settings.redis_url = Some("http://127.0.0.1".into());
    let error = format!("{:?}", App::new(settings).connect().await.unwrap_err());
    assert!(error.starts_with("the broker of REDIS_URL cannot be used; correct REDIS_URL"), "{error}");
}

#[tokio::test]
async fn an_app_that_has_nothing_to_do() {
    assert!(app().start().await.unwrap_err().to_string().starts_with("the App has no jobs: write `.job(handler)`"));
    let error = app().job(add).role(Role::Web).start().await.unwrap_err();
    assert!(error.to_string().starts_with("the App has no routes to serve as `web`"), "{error}");
}

#[tokio::test]
async fn schedules_and_limits_that_cannot_be() {
    let error = app().job(add).cron("sums", "0 7 * *", |c| c.job(&Add { a: 1, b: 1 })).test().await.unwrap_err();
    assert!(
        format!("{error:?}").starts_with("the schedule `sums` cannot be made: `0 7 * *` has 4 fields"),
        "{error:?}"
    );
    let error = app().job(add).cron("sums", "@daily", |c| c.zone("Mars")).test().await.unwrap_err();
    assert!(error.to_string().starts_with("a schedule has no job"), "{error}");
    let error = app().job(add).queue("default", |q| q.rate(0.0)).test().await.unwrap_err();
    assert!(error.to_string().starts_with("the queue `default` cannot be held to its limits"), "{error}");
}

#[tokio::test]
async fn tables_that_are_not_there() {
    let test = app().job(add).test().await.unwrap();
    let mut settings = test.settings().clone();
    settings.schema = gristmill::queue::Schema::new("elsewhere").unwrap();
    let error = App::new(settings).job(add).migrate(false).start().await.unwrap_err().to_string();
    assert!(error.contains("migrations of the queue have not run: start the App without `.migrate(false)`"), "{error}");
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let test = app().job(add).test().await.unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = test.settings().clone();
    settings.monitor_addr = Some(taken.local_addr().unwrap());
    let error = App::new(settings).job(add).start().await.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot listen on 127.0.0.1:") && error.ends_with("set GRISTMILL_MONITOR_ADDR"),
        "{error}"
    );
}

#[test]
fn a_wrong_setting_is_said_when_the_app_starts() {
    let mut settings = quiet();
    settings.slots = 4;
    assert!(format!("{settings:?}").contains("test"));
}
