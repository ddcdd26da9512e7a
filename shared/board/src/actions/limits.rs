use gristmill_queue::{JobLimits, LimitsError};

use super::{
    answer::{Answer, NotDone, done},
    form::Form,
    queues::limit,
};
use crate::board::App;

use axum::extract::State;

/// Sets all limits of the jobs of one name: what is left empty is none.
pub(super) async fn set_job(State(app): State<App>, form: Form) -> Answer {
    let name = named(&form, "job")?;
    let limits = JobLimits {
        concurrency: limit(&form, "concurrency")?,
        rate_per_second: limit(&form, "rate_per_second")?,
        burst: limit(&form, "burst")?,
        key_concurrency: limit(&form, "key_concurrency")?,
        uses: form.get("uses").unwrap_or_default().split_whitespace().map(uses).collect::<Result<_, _>>()?,
    };
    app.queue.limits().set_job(&name, &limits).await.map_err(refused)?;
    done(format!("Jobs {name} are held to these limits now"))
}

/// Makes a pool, gives one so many slots, or removes it: no number is none.
pub(super) async fn set_pool(State(app): State<App>, form: Form) -> Answer {
    let name = named(&form, "pool")?;
    match limit::<u32>(&form, "slots")? {
        Some(slots) => {
            app.queue.limits().set_pool(&name, slots).await.map_err(refused)?;
            done(format!("The pool {name} has {slots} slots now"))
        }
        None => match app.queue.limits().remove_pool(&name).await.map_err(refused)? {
            true => done(format!("The pool {name} is gone")),
            false => Err(NotDone::Gone),
        },
    }
}

fn named(form: &Form, field: &str) -> Result<String, NotDone> {
    let name = form.get(field).unwrap_or_default().trim();
    if name.is_empty() || name.chars().count() > 200 {
        return Err(NotDone::Refused(format!("Say which {field}: a name of 1 to 200 characters")));
    }
    Ok(name.to_owned())
}

/// `gpu=2`
fn uses(text: &str) -> Result<(String, u32), NotDone> {
    let found = text.rsplit_once('=').and_then(|(pool, slots)| Some((pool.to_owned(), slots.parse().ok()?)));
    found.ok_or_else(|| NotDone::Refused(format!("`{text}` says no slots of a pool: write it as gpu=2")))
}

fn refused(error: LimitsError) -> NotDone {
    match error {
        LimitsError::Queue(error) => error.into(),
        error => NotDone::Refused(error.to_string()),
    }
}
