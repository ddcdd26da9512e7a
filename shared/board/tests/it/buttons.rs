//! What buttons do, and what they refuse.

use std::time::Duration;

use gristmill_board::Board;
use gristmill_queue::{CatchUp, Flow, JobState, NewJob, Options, Overlap, Stage};

use crate::served::{BASE, Filled, enqueue, said, serve, with_form};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_acted_on_one_by_one_and_by_what_they_died_of() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    let state = async |id| filled.queue.jobs().get(id).await.unwrap().unwrap().job.state;
    assert_eq!(said(served.press(&format!("jobs/{}/cancel", filled.waiting))).await, (200, "1 cancelled".to_owned()));
    assert_eq!(state(filled.waiting).await, JobState::Cancelled);
    // As the page of dead letters asks for it.
    let (_, dead) = served.page(&format!("{BASE}/dead")).await;
    let matching = dead.split(r#"{"matching":""#).nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let form = [("matching", matching.as_str())];
    assert_eq!(said(with_form(served.press("jobs/discard"), &form)).await, (200, "1 discarded".to_owned()));
    assert_eq!(state(filled.dead).await, JobState::Cancelled);
    assert_eq!(said(with_form(served.press("jobs/discard"), &form)).await.1, "0 discarded");
    assert_eq!(said(served.press("jobs/cancel")).await, (409, "No job is ticked: nothing was done".to_owned()));
    let nobody = format!("jobs/{}/cancel", uuid::Uuid::nil());
    assert_eq!(said(served.press(&nobody)).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_changed_promoted_and_retried_by_its_page() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    let tags = vec!["red & round".to_owned()];
    let options = Options {
        delay: Some(Duration::from_secs(7_200)),
        tags,
        timeout: Some(Duration::from_secs(90)),
        ..Options::default()
    };
    let id = enqueue(&filled.queue, "tagged.png", &options).await;
    let (_, page) = served.page(&format!("{BASE}/jobs/{id}")).await;
    for text in [
        "Run now",
        "<summary>Change…</summary>",
        "<dt>Timeout</dt><dd>2 min</dd>",
        ">red &#38; round</a>",
        "tagged.png",
    ] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    let (_, list) = served.page(&format!("{BASE}/jobs?tag=red%20%26%20round")).await;
    assert!(list.contains(&id.to_string()) && !list.contains(&filled.waiting.to_string()), "{list}");

    let form = [
        ("payload", r#"{"of":"other.png"}"#),
        ("queue", "else"),
        ("priority", "2"),
        ("max_attempts", "1"),
        ("tags", " blue , "),
    ];
    assert_eq!(
        said(with_form(served.press(&format!("jobs/{id}/change")), &form)).await,
        (200, "The job is changed".to_owned())
    );
    let changed = filled.queue.jobs().get(id).await.unwrap().unwrap();
    assert_eq!((changed.job.queue.as_str(), changed.job.priority, changed.job.max_attempts), ("else", 2, 1));
    assert_eq!((changed.payload["of"].as_str(), &changed.job.tags[..]), (Some("other.png"), &["blue".to_owned()][..]));
    for (form, told) in [
        ([("payload", "{")], "The payload is not JSON"),
        ([("priority", "ten")], "`priority` cannot be ten"),
        ([("priority", "10")], "the priority is more than 9"),
    ] {
        let (status, text) = said(with_form(served.press(&format!("jobs/{id}/change")), &form)).await;
        assert!(status == 409 && text.contains(told), "{status} {text}");
    }
    assert_eq!(said(served.press(&format!("jobs/{id}/promote"))).await, (200, "It is due now".to_owned()));
    let (status, text) = said(served.press(&format!("jobs/{}/promote", filled.dead))).await;
    assert!(status == 409 && text.contains("is dead"), "{status} {text}");
    let (_, page) = served.page(&format!("{BASE}/jobs/{}", filled.dead)).await;
    assert!(page.contains("Change and retry…") && !page.contains("Run now"), "{page}");
    let retry = format!("jobs/{}/retry", filled.dead);
    let (status, text) = said(with_form(served.press(&retry), &[("payload", r#"{"of":"good.png"}"#)])).await;
    assert_eq!((status, text.as_str()), (200, "The job is changed, and will run again"));
    let again = filled.queue.jobs().get(filled.dead).await.unwrap().unwrap();
    assert_eq!((again.job.state, again.payload["of"].as_str()), (JobState::Available, Some("good.png")));
    assert_eq!(said(served.press(&retry)).await.0, 409);
    assert_eq!(said(served.press(&format!("jobs/{}/change", uuid::Uuid::nil()))).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_put_by_its_page() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    let press = async |form: &[(&str, &str)]| said(with_form(served.press("schedules/put"), form)).await;
    let job = [("job", "digest"), ("queue", "mail"), ("payload", r#"{"a":1}"#)];
    let bounded = [
        ("name", "bounded"),
        ("cron", "@hourly"),
        ("overlap", "skip"),
        ("catch_up", "all"),
        ("ends_at", "2100-01-01T00:00:00Z"),
    ];
    assert_eq!(press(&[&bounded[..], &job].concat()).await, (200, "Schedule bounded: it is so from now on".to_owned()));
    let once = [("name", "once"), ("at", "2100-01-01T07:00"), ("time_zone", "America/Sao_Paulo"), ("ends_at", "")];
    assert_eq!(press(&[&once[..], &job].concat()).await.0, 200);
    let put = filled.queue.schedules().get("bounded").await.unwrap();
    assert_eq!((put.overlap, put.catch_up, put.job.name()), (Overlap::Skip, CatchUp::All, "digest"));
    let (_, page) = served.page(&format!("{BASE}/schedules")).await;
    for text in [
        "skips a tick while its job runs",
        "until <time datetime=\"2100-01-01T00:00:00Z\"",
        "once <small",
        "2100-01-01T10:00:00Z",
    ] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    for (form, told) in [
        (&[("name", "x"), ("job", "j")][..], "a cron expression, or a time"),
        (&[("name", "x"), ("job", "j"), ("cron", "* *")], "has 2 fields"),
        (&[("name", "x"), ("job", "j"), ("cron", "@daily"), ("ends_at", "soon")], "`ends_at` cannot be soon"),
        (&[("name", "x"), ("job", "j"), ("at", "2020-01-01T00:00:00Z")], "no tick of it is to come"),
        (&[("name", "x"), ("job", "j"), ("cron", "@daily"), ("payload", "{")], "not JSON"),
        (&[("job", "j"), ("cron", "@daily")], "has no name"),
    ] {
        let (status, text) = press(form).await;
        assert!(status == 409 && text.contains(told), "{status} {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_shows_its_stages() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    let job = || NewJob::of("nobody's", &serde_json::json!({})).unwrap();
    let flow = Flow::new().name("Import").stage(Stage::new("fetch").job(job()));
    let flow = flow.stage(Stage::new("load & check").after(["fetch"]).jobs([job(), job()]));
    let mut tx = filled.queue.pool().begin().await.unwrap();
    let enqueued = filled.queue.enqueue_flow(&mut tx, &flow).await.unwrap();
    tx.commit().await.unwrap();
    for group in [enqueued.id(), enqueued.stages()[1]] {
        let (_, page) = served.page(&format!("{BASE}/groups/{group}")).await;
        for text in ["<h2>Stages</h2>", ">load &#38; check</a>", "<td>fetch</td>", ">waits</span>"] {
            assert!(page.contains(text), "no {text} in {page}");
        }
    }
    let held = enqueued.jobs()[1];
    let (_, page) = served.page(&format!("{BASE}/jobs/{held}")).await;
    assert!(page.contains("when the stages before its own have ended") && !page.contains("Run now"), "{page}");
    let (status, text) = said(served.press(&format!("jobs/{held}/promote"))).await;
    assert!(status == 409 && text.contains("waits for the stages before its own"), "{status} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_schedules_groups_and_workers_are_steered() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    let queue = "queues/thumbs%2Flarge%20%26%20small";
    let limits = [("concurrency", "7"), ("rate_per_second", ""), ("key_concurrency", "2")];
    let (status, text) = said(with_form(served.press(&format!("{queue}/limits")), &limits)).await;
    assert_eq!((status, text.as_str()), (200, "The queue thumbs/large & small has these limits within a second"));
    let refused = said(with_form(served.press(&format!("{queue}/limits")), &[("concurrency", "many")])).await;
    assert!(refused.0 == 409 && refused.1.contains("`concurrency` cannot be many"), "{refused:?}");
    let set = filled.queue.queues().list().await.unwrap().into_iter().find(|queue| queue.name.starts_with("thumbs"));
    let set = set.unwrap().limits;
    assert_eq!((set.concurrency, set.rate_per_second, set.key_concurrency), (Some(7), None, Some(2)));

    let pool = async |form: &[(&str, &str)]| said(with_form(served.press("limits/pools"), form)).await;
    let job = async |form: &[(&str, &str)]| said(with_form(served.press("limits/jobs"), form)).await;
    assert_eq!(pool(&[("pool", "gpu"), ("slots", "4")]).await, (200, "The pool gpu has 4 slots now".to_owned()));
    let limits = [("job", "train"), ("rate_per_second", "2.5"), ("uses", "gpu=2")];
    assert_eq!(job(&limits).await, (200, "Jobs train are held to these limits now".to_owned()));
    let set = filled.queue.limits().list().await.unwrap().jobs.remove(0);
    assert_eq!((set.limits.rate_per_second, set.limits.uses["gpu"]), (Some(2.5), 2));
    let page = served.page(&format!("{BASE}/limits")).await.1;
    assert!(page.contains("value=\"gpu=2\"") && page.contains(">train</a>"), "{page}");
    for (form, refusal) in [
        ([("job", "train"), ("uses", "gpu")], "write it as gpu=2"),
        ([("job", "train"), ("uses", "cpu=1")], "there is no pool of slots `cpu`"),
        ([("job", " "), ("uses", "")], "Say which job"),
    ] {
        let (status, text) = job(&form).await;
        assert!(status == 409 && text.contains(refusal), "{text}");
    }
    assert!(pool(&[("pool", "gpu"), ("slots", "")]).await.1.contains("jobs `train` take slots of the pool `gpu`"));
    job(&[("job", "train")]).await;
    assert_eq!(pool(&[("pool", "gpu"), ("slots", "")]).await, (200, "The pool gpu is gone".to_owned()));

    for (action, text) in [
        ("schedules/nightly/pause", "Schedule nightly: paused"),
        ("schedules/nightly/resume", "Schedule nightly: resumed"),
        ("schedules/nightly/run", "Schedule nightly: a run is started"),
    ] {
        assert_eq!(said(served.press(action)).await, (200, text.to_owned()), "{action}");
    }
    let cancelled = said(served.press(&format!("groups/{}/cancel", filled.group))).await;
    assert_eq!(cancelled, (200, "The group is cancelled, with 1 jobs".to_owned()));
    let worker = filled.queue.workers().await.unwrap()[0].id;
    assert_eq!(said(served.press(&format!("workers/{worker}/drain"))).await.0, 200);
    for gone in ["queues/none/pause", "schedules/none/run", "groups/none/cancel", "workers/none/drain", "nothing/7/x"] {
        assert_eq!(said(served.press(gone)).await.0, 404, "{gone}");
    }
    let looked_at = served.get(&format!("{BASE}/act/{queue}/pause"));
    assert_eq!(said(looked_at).await.0, 405, "a look is no press");
    let nul = served.press(&format!("{queue}/limits")).body("concurrency=%00");
    assert_eq!(said(nul).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_encrypted_is_shown_by_its_key_and_stays_as_it_is() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    let options = Options { delay: Some(Duration::from_secs(7_200)), ..Options::default() };
    let id = enqueue(&filled.queue, "secret.png", &options).await;
    let kept = serde_json::json!({ "$encrypted": { "key": "2026-11", "data": "c2VjcmV0" } });
    let encrypt = filled.queue.schema().sql("update gristmill.jobs set payload = $2, result = $2 where id = $1");
    sqlx::query(encrypt).bind(id).bind(&kept).execute(filled.queue.pool()).await.unwrap();
    let (_, page) = served.page(&format!("{BASE}/jobs/{id}")).await;
    let shown = "encrypted with key `2026-11`";
    for text in [
        format!("<h2>Payload</h2><pre tabindex=\"0\">{shown}</pre>"),
        format!("<h2>Result</h2><pre tabindex=\"0\">{shown}</pre>"),
        format!("placeholder=\"{shown}: left empty, it stays as it is\"></textarea>"),
    ] {
        assert!(page.contains(&text), "no {text} in {page}");
    }
    assert!(!page.contains("c2VjcmV0"), "{page}");
    let form = [("payload", ""), ("priority", "2")];
    assert_eq!(said(with_form(served.press(&format!("jobs/{id}/change")), &form)).await.0, 200);
    let changed = filled.queue.jobs().get(id).await.unwrap().unwrap();
    assert_eq!((changed.job.priority, changed.payload), (2, kept));
}
