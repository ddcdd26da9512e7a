//! Handlers: async functions of a job and of what they need beside it.

use std::sync::Arc;

use futures::future::BoxFuture;
use gristmill_queue::{Job, JobError, Source};
use serde::Serialize;

use crate::{
    attempt::{self, Attempt},
    extract::{FromAttempt, Need},
};

/// An async function whose first argument is a [`Job`]; every further one is [`FromAttempt`], up to eight of them. It returns
/// nothing, or a `Result` whose value is kept as the job's result, and whose error any `Into<Box<dyn Error + Send + Sync>>`
/// (a [`JobError`] among them, which says what is to come).
///
/// ```
/// # use gristmill::prelude::*;
/// # #[derive(Serialize, Deserialize, Job)] struct Greet { name: String }
/// async fn greet(job: Greet, Data(greeting): Data<String>, context: Context) -> Result<usize, JobError> {
///     println!("{greeting}, {}: attempt {}", job.name, context.attempt);
///     Ok(job.name.len())
/// }
/// # fn app(app: App) -> App { app.data("hello".to_owned()).job(greet) }
/// ```
///
/// What is no such function is refused by the compiler; the usual reasons are a first argument that is no `Job`, a further one
/// that is not `FromAttempt`, a return value that is neither `()` nor a `Result` of what serde can write, and a future that is not
/// `Send`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not an async function of a `Job` and of arguments that are `FromAttempt`, which returns `()` or a `Result`",
    note = "its first argument is the job; of the others there are Data<T>, Context, Claim, Tx, Tick, Client, PgPool and Option<…> of some"
)]
pub trait Handler<Args>: Clone + Send + Sync + 'static {
    /// The job that it is for.
    type Job: Job;

    /// What the application must have been given.
    fn needs() -> Vec<Need>;

    /// Runs it.
    fn call(self, attempt: Attempt) -> BoxFuture<'static, Result<(), Source>>;
}

/// What a handler may return.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "it returns `()`, or a `Result<T, E>` of a `T: Serialize` and an `E: Into<Box<dyn Error + Send + Sync>>`"
)]
pub trait Outcome: Send + 'static {
    /// Keeps the value with the job, if there is one.
    ///
    /// # Errors
    /// Returns the handler's own error, or why its value cannot be kept.
    fn record(self, context: &gristmill_queue::Context) -> Result<(), Source>;
}

impl Outcome for () {
    fn record(self, _: &gristmill_queue::Context) -> Result<(), Source> {
        Ok(())
    }
}

impl<T: Serialize + Send + 'static, E: Into<Source> + Send + 'static> Outcome for Result<T, E> {
    fn record(self, context: &gristmill_queue::Context) -> Result<(), Source> {
        let value = self.map_err(Into::into)?;
        if std::any::TypeId::of::<T>() == std::any::TypeId::of::<()>() {
            return Ok(());
        }
        // The handler would return the same again.
        context.set_result(&value).map_err(|error| {
            JobError::discard(format!(
                "the handler of `{}` ended well, but what it returned cannot be kept: {error}; keep content elsewhere, and return \
                 where it is",
                context.name
            ))
            .into()
        })
    }
}

macro_rules! handlers {
    ($($argument:ident),*) => {
        impl<F, Fut, J, $($argument),*> Handler<(J, $($argument),*)> for F
        where
            F: Fn(J, $($argument),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future + Send,
            Fut::Output: Outcome,
            J: Job,
            $($argument: FromAttempt,)*
        {
            type Job = J;

            fn needs() -> Vec<Need> {
                let needs: [Option<Need>; _] = [$($argument::needs()),*];
                needs.into_iter().flatten().collect()
            }

            fn call(self, attempt: Attempt) -> BoxFuture<'static, Result<(), Source>> {
                Box::pin(async move {
                    let run = Arc::clone(attempt::run_of(&attempt)?);
                    let job: J = attempt.args.take()?;
                    $(
                        #[allow(non_snake_case, reason = "a macro has no other name for it")]
                        let $argument = $argument::from_attempt(&attempt).await?;
                    )*
                    let recorded = self(job, $($argument),*).await.record(&run.context);
                    run.tx.end(&run.context, recorded).await
                })
            }
        }
    };
}

handlers!();
handlers!(A1);
handlers!(A1, A2);
handlers!(A1, A2, A3);
handlers!(A1, A2, A3, A4);
handlers!(A1, A2, A3, A4, A5);
handlers!(A1, A2, A3, A4, A5, A6);
handlers!(A1, A2, A3, A4, A5, A6, A7);
handlers!(A1, A2, A3, A4, A5, A6, A7, A8);
