//! One request: the client's rules, then the dictionary, or the client's own heuristic and what it answered lately. The answer,
//! its event and the job's end are one transaction.

mod batch;
mod external;

use std::sync::OnceLock;

use gristmill::{App, Data};
use gristmill_normalization::{
    Answer, CacheKey,
    jobs::Normalize,
    requests::{PendingRequest, State},
};
use gristmill_pipelines::merchants::{Normalizer, Rules};
use gristmill_queue::{Context, Job, JobError};

use self::batch::Together;
use crate::{Env, load::on_rayon};

/// The body of normalizations.
pub(crate) fn register(app: App, env: &Env) -> App {
    app.data(Together::new(&env.queue)).job(normalize)
}

async fn normalize(
    job: Normalize,
    Data(env): Data<Env>,
    Data(together): Data<Together>,
    context: Context,
) -> Result<(), JobError> {
    let Some(wanted) = together.wanted(job.request_id).await else {
        return Err(JobError::Cancelled);
    };
    // It was told to have failed when its job was cancelled, which somebody runs again.
    if wanted.request.state != State::Queued {
        return Ok(());
    }
    let found = match find(&env, &wanted).await {
        // The last attempt answers all the same: nobody waits for ever.
        Err(error) if context.attempt >= u32::from(Normalize::MAX_ATTEMPTS) => Err(error.to_string()),
        found => Ok(found?),
    };
    together.answer(&context.claim, &wanted, found).await;
    Ok(())
}

async fn find(env: &Env, wanted: &PendingRequest) -> Result<Answer, JobError> {
    let PendingRequest { request, rules_version: version, heuristic_url } = wanted;
    let rules = env.merchants.rules_of(&env.pool, request.client_id, *version).await?;
    // Rules look at the descriptor as it came, so what they say is not remembered by what is left of it.
    if let Some((id, name)) = rules.find(&request.description) {
        let (merchant, matched) = (Some(name.to_owned()), Some("rule".to_owned()));
        return Ok(Answer { merchant, matched, rule_id: Some(id), score: Some(1.0), ..Answer::default() });
    }
    let Some(address) = heuristic_url else { return by_dictionary(&request.description).await };
    let asked = CacheKey {
        client_id: request.client_id,
        version: *version,
        external: address,
        description: &request.description,
    };
    if let Some(answer) = env.merchants.remembered(&asked).await {
        return Ok(answer);
    }
    let answer = external::ask(env.deliverer.outbound(), address, request).await?;
    env.merchants.remember(&asked, &answer).await;
    Ok(answer)
}

/// To find it costs less than to ask Redis, so it is remembered by the process only.
async fn by_dictionary(description: &str) -> Result<Answer, JobError> {
    /// It takes a while to make.
    static NORMALIZER: OnceLock<&Normalizer> = OnceLock::new();
    if let Some(found) = NORMALIZER.get().and_then(|normalizer| normalizer.known(description)) {
        return Ok(found.into());
    }
    let description = description.to_owned();
    on_rayon(move || NORMALIZER.get_or_init(Normalizer::built_in).find_again(&description, &Rules::default()).into())
        .await
}
