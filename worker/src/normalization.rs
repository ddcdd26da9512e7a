//! One request: the client's rules, then what is remembered, then the dictionary or the client's own heuristic. The answer,
//! its event and the job's end are one transaction.

mod external;

use gristmill_billing::settings::{self, Heuristic};
use gristmill_normalization::{Answer, Asked, jobs::Normalize, requests};
use gristmill_pipelines::merchants::{Normalizer, Rules};
use gristmill_queue::{Completion, Context, Fence, Job, JobError, WorkerBuilder};
use gristmill_webhooks::{Event, Merchant, NormalizationCompleted, publish};

use crate::{Env, load::on_rayon};

/// The body of normalizations.
pub(crate) fn register(builder: WorkerBuilder, env: &Env) -> WorkerBuilder {
    let env = env.clone();
    builder.register::<Normalize>(move |context, job| normalize(env.clone(), context, job))
}

async fn normalize(env: Env, context: Context, job: Normalize) -> Result<(), JobError> {
    let Some(request) = requests::find(&env.pool, job.request_id).await? else {
        return Err(JobError::Cancelled);
    };
    let found = match find(&env, &request).await {
        // The last attempt answers all the same: nobody waits for ever.
        Err(error) if context.attempt >= u32::from(Normalize::MAX_ATTEMPTS) => Err(error.to_string()),
        found => Ok(found?),
    };
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    requests::answer(&mut tx, request.id, &found).await?;
    let event = Event::NormalizationCompleted(NormalizationCompleted {
        request_id: request.id,
        merchant: merchant(found.unwrap_or_default()),
    });
    let mut enqueued = publish(&mut tx, &env.queue, request.client_id, &event).await?;
    if let Completion::Done(more) = env.queue.complete(&mut tx, &context.claim).await? {
        enqueued.merge(more);
        tx.commit().await?;
        env.queue.push(enqueued).await;
    }
    Ok(())
}

async fn find(env: &Env, request: &requests::Request) -> Result<Answer, JobError> {
    let (version, rules) = env.merchants.rules(&env.pool, request.client_id).await?;
    // Rules look at the descriptor as it came, so what they say is not remembered by what is left of it.
    if let Some((id, name)) = rules.find(&request.description) {
        let (merchant, matched) = (Some(name.to_owned()), Some("rule".to_owned()));
        return Ok(Answer { merchant, matched, rule_id: Some(id), score: Some(1.0), ..Answer::default() });
    }
    let settings = settings::find(&env.pool, request.client_id).await?;
    let external = settings.heuristic_url.filter(|_| settings.heuristic == Heuristic::External);
    let asked = Asked {
        client_id: request.client_id,
        version,
        external: external.as_deref(),
        description: &request.description,
    };
    if let Some(answer) = env.merchants.remembered(&asked).await {
        return Ok(answer);
    }
    let answer = match &external {
        Some(address) => external::ask(env.deliverer.outbound(), address, request).await?,
        None => {
            let description = request.description.clone();
            on_rayon(move || Answer::from(Normalizer::built_in().find(&description, &Rules::default()))).await?
        }
    };
    env.merchants.remember(&asked, &answer).await;
    Ok(answer)
}

fn merchant(answer: Answer) -> Merchant {
    Merchant {
        name: answer.merchant.unwrap_or_else(|| "n/a".to_owned()),
        rule: answer.rule_id.map(|id| id.to_string()).or(answer.matched),
        score: answer.score.map(f64::from),
        category: answer.category,
        wikidata_id: answer.wikidata,
    }
}
