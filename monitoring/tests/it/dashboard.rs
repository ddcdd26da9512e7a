//! The dashboard, asked over HTTP as a browser asks it.

use std::time::Duration;

use futures::StreamExt as _;
use gristmill_monitoring::{Health, Server, dashboard::Dashboard};
use gristmill_platform::{
    config::{LimitsConfig, RoleConfig},
    keys,
    testing::{self, Stack},
};
use reqwest::{Client, RequestBuilder, Response};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

pub(crate) struct Served {
    pub(crate) stack: Stack,
    pub(crate) url: String,
    pub(crate) http: Client,
    _shutdown: tokio_util::sync::DropGuard,
}

/// A session: its cookie and the token of its actions.
pub(crate) struct Session {
    pub(crate) cookie: String,
    csrf: String,
}

pub(crate) async fn serve() -> Served {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stack = testing::stack().await;
    let role = RoleConfig {
        database: stack.database(),
        redis: stack.redis(),
        store: stack.store_config(),
        ..RoleConfig::default()
    };
    let dashboard = Dashboard::open(&role, &LimitsConfig::default(), Health::of("monitor")).await.unwrap();
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (url, shutdown) = (format!("http://{}", server.addr()), CancellationToken::new());
    tokio::spawn(server.serve_beside(dashboard.routes().unwrap(), Health::of("monitor"), shutdown.clone()));
    let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Served { stack, url, http, _shutdown: shutdown.drop_guard() }
}

impl Served {
    async fn try_key(&self, key: &str) -> Response {
        let body = format!("key={key}");
        let login = self.http.post(format!("{}/login", self.url)).body(body);
        login.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap()
    }

    pub(crate) async fn log_in(&self, key: &str) -> Session {
        let answer = self.try_key(key).await;
        assert_eq!(answer.status().as_u16(), 303, "{}", answer.text().await.unwrap());
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let csrf = sqlx::query_scalar("select csrf from dashboard_sessions order by created_at desc limit 1");
        Session { cookie, csrf: csrf.fetch_one(&self.stack.pool).await.unwrap() }
    }

    pub(crate) fn post(&self, session: &Session, path: &str) -> RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.url)).header("cookie", &session.cookie);
        request.header("x-csrf-token", &session.csrf)
    }

    async fn live(&self, session: &Session) -> Response {
        let request = self.http.get(format!("{}/live?to=/queues", self.url)).header("cookie", &session.cookie);
        let mut answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert!(answer.chunk().await.unwrap().is_some(), "something is shown");
        answer
    }

    /// The audit log: who, with which key, what, and what came of it.
    pub(crate) async fn audit(&self) -> Vec<(String, Option<String>, String, String, Option<String>)> {
        sqlx::query_as("select who, key, action, target, detail from audit_log order by id")
            .fetch_all(&self.stack.pool)
            .await
            .unwrap()
    }
}

async fn ends(mut stream: Response) {
    let read = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(Duration::from_secs(60), read).await.expect("what is live ends");
}

#[tokio::test]
async fn what_is_live_ends_with_its_session() {
    let served = serve().await;
    let key = keys::create_operator(&served.stack.pool, "ops").await.unwrap();
    let session = served.log_in(key.secret.expose_secret()).await;
    let live = served.live(&session).await;
    assert_eq!(served.post(&session, "/logout").send().await.unwrap().status().as_u16(), 204);
    ends(live).await;

    let session = served.log_in(key.secret.expose_secret()).await;
    let live = served.live(&session).await;
    let client = key.client.id;
    let bytes = futures::stream::iter(["name,governmentId,email,debtAmount,debtDueDate,debtId\n"])
        .map(Ok::<_, std::io::Error>)
        .chain(futures::stream::pending());
    let path = format!("/uploads?client={client}&kind=debts&policy=partial");
    let sending = served.post(&session, &path).body(reqwest::Body::wrap_stream(bytes));
    let sending = tokio::spawn(sending.send());
    while sqlx::query("select from uploads").fetch_all(&served.stack.pool).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    keys::revoke(&served.stack.pool, &key.id.to_string()).await.unwrap();
    ends(live).await;
    let answer = tokio::time::timeout(Duration::from_secs(60), sending).await.unwrap().unwrap();
    if let Ok(answer) = answer {
        assert!(!answer.status().is_success(), "half a file is not taken");
    }
    let states: Vec<String> =
        sqlx::query_scalar("select state from uploads").fetch_all(&served.stack.pool).await.unwrap();
    assert_eq!(states, ["failed"]);
}

#[tokio::test]
async fn what_is_refused_is_in_the_audit_log_with_its_key() {
    let served = serve().await;
    let viewer = keys::create_viewer(&served.stack.pool, "ops").await.unwrap();
    let looking = served.log_in(viewer.secret.expose_secret()).await;
    let pause = "/act/queues/chunks/pause";
    assert_eq!(served.post(&looking, pause).send().await.unwrap().status().as_u16(), 403);

    let operator = keys::create_operator(&served.stack.pool, "ops").await.unwrap();
    let steering = served.log_in(operator.secret.expose_secret()).await;
    let forged = Session { csrf: "forged".to_owned(), cookie: steering.cookie.clone() };
    assert_eq!(served.post(&forged, pause).send().await.unwrap().status().as_u16(), 403);
    for typo in
        ["/act/queues/chunsk/pause", "/act/schedules/x/pause", "/act/schedules/x/resume", "/act/schedules/x/run"]
    {
        assert_eq!(served.post(&steering, typo).send().await.unwrap().status().as_u16(), 404, "{typo}");
    }
    assert_eq!(served.post(&steering, pause).send().await.unwrap().status().as_u16(), 200);

    let log = served.audit().await;
    let prefix = |secret: &secrecy::SecretString| Some(secret.expose_secret()[..11].to_owned());
    let (viewers, operators) = (prefix(&viewer.secret), prefix(&operator.secret));
    let mut by: Vec<_> =
        log.iter().map(|(who, key, action, target, _)| (who.as_str(), key, action.as_str(), target.as_str())).collect();
    assert_eq!(by.remove(0), ("ops", &viewers, "refused", "queues/chunks/pause"));
    assert_eq!(by.remove(0), ("ops", &operators, "refused", pause));
    let actions: Vec<_> = by.iter().map(|(_, key, action, target)| (*key == &operators, *action, *target)).collect();
    assert_eq!(
        actions,
        [
            (true, "queues.pause", "chunsk"),
            (true, "schedules.pause", "x"),
            (true, "schedules.resume", "x"),
            (true, "schedules.run", "x"),
            (true, "queues.pause", "chunks"),
        ]
    );
    let details: Vec<_> = log.iter().map(|(.., detail)| detail.as_deref().unwrap_or_default()).collect();
    assert!(details[..2].iter().all(|detail| detail.starts_with("Refused: ")), "{details:?}");
    assert!(details[2..6].iter().all(|detail| detail.starts_with("Not done: ")), "{details:?}");
    let queues: Vec<String> =
        sqlx::query_scalar("select name from gristmill.queues").fetch_all(&served.stack.pool).await.unwrap();
    assert_eq!(queues, ["chunks"], "a typo makes no queue");
}

#[tokio::test]
async fn an_action_is_in_the_audit_log_before_it_is_done() {
    let served = serve().await;
    let key = keys::create_operator(&served.stack.pool, "ops").await.unwrap();
    let session = served.log_in(key.secret.expose_secret()).await;
    let pause = "/act/queues/chunks/pause";
    let pause = async || served.post(&session, pause).send().await.unwrap().status().as_u16();
    let detail = async || served.audit().await.pop().unwrap().4.unwrap();
    // Its process dies before the outcome is written down.
    let sql = |sql: &'static str| sqlx::raw_sql(sql).execute(&served.stack.pool);
    sql("create function dies() returns trigger language plpgsql as $$ begin raise 'dead'; end $$;
         create trigger dies before update on audit_log for each row execute function dies()")
    .await
    .unwrap();
    assert_eq!(pause().await, 200);
    assert!(detail().await.starts_with("Begun. "), "{}", detail().await);
    // What cannot be noted is not done.
    sql("drop trigger dies on audit_log; delete from gristmill.queues;
         create trigger dies before insert on audit_log for each row execute function dies()")
    .await
    .unwrap();
    assert_eq!(pause().await, 503);
    let queues: i64 =
        sqlx::query_scalar("select count(*) from gristmill.queues").fetch_one(&served.stack.pool).await.unwrap();
    assert_eq!(queues, 0);
    sql("drop trigger dies on audit_log").await.unwrap();
    assert_eq!(pause().await, 200);
    assert_eq!(detail().await, "Queue chunks: paused");
    // A form that nobody can read is refused, and that is in it too.
    let request = served.post(&session, "/act/queues/chunks/limits").body("concurrency=%00");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 400);
    assert!(detail().await.starts_with("Refused: the form "), "{}", detail().await);
}

#[tokio::test]
async fn who_tries_keys_is_not_looked_up_for_ever() {
    let served = serve().await;
    let before = keys::create_operator(&served.stack.pool, "ops").await.unwrap();
    served.log_in(before.secret.expose_secret()).await;
    let wrong = format!("gm_{}", "0".repeat(64));
    let mut tries = Vec::new();
    for _ in 0..12 {
        tries.push(served.try_key(&wrong).await.status().as_u16());
    }
    assert_eq!(tries, [vec![401; 10], vec![429; 2]].concat());
    // One that nobody has come with yet is a try like any other; one that was right before is none.
    let new = keys::create_operator(&served.stack.pool, "ops").await.unwrap();
    assert_eq!(served.try_key(new.secret.expose_secret()).await.status().as_u16(), 429);
    assert_eq!(served.try_key(before.secret.expose_secret()).await.status().as_u16(), 303);
}

#[tokio::test]
async fn a_mail_is_sent_again_by_a_button_that_is_noted() {
    let served = serve().await;
    let key = keys::create_operator(&served.stack.pool, "ops").await.unwrap();
    let session = served.log_in(key.secret.expose_secret()).await;
    let client = key.client.id;
    let enter = async |reference: &str, state: &str, attempts: i32| -> uuid::Uuid {
        sqlx::query_scalar(
            "insert into mails (id, client_id, kind, ref, recipient, subject, message_id, state, attempts)
             values (gen_random_uuid(), $1, 'upload_failed', $2, 'ops@acme.example', 'It failed', '<a@b>', $3, $4)
             returning id",
        )
        .bind(client)
        .bind(reference)
        .bind(state)
        .bind(attempts)
        .fetch_one(&served.stack.pool)
        .await
        .unwrap()
    };
    let (failed, sent) = (enter("a", "failed", 3).await, enter("b", "sent", 1).await);
    let act = async |id, verb: &str| {
        let answer = served.post(&session, &format!("/act/mail/{client}/{id}/{verb}")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let page = async |id| {
        let url = format!("{}/mail/{id}?client={client}", served.url);
        served.http.get(url).header("cookie", &session.cookie).send().await.unwrap().text().await.unwrap()
    };
    assert!(page(failed).await.contains(&format!("/act/mail/{client}/{failed}/resend")));
    assert!(page(sent).await.contains(&format!("/act/mail/{client}/{sent}/send_twice")));
    assert_eq!(act(failed, "resend").await, (200, "It is sent again to ops@acme.example".to_owned()));
    assert!(!page(failed).await.contains("/act/mail/"), "it is on its way");
    assert_eq!(act(failed, "resend").await.0, 409);
    assert_eq!(act(sent, "resend").await.0, 409);
    assert_eq!(act(sent, "send_twice").await.0, 200);
    assert_eq!(act(uuid::Uuid::nil(), "resend").await.0, 404);
    let jobs: Vec<String> =
        sqlx::query_scalar("select payload ->> 'ref' from gristmill.jobs where name = 'mail.send' order by id")
            .fetch_all(&served.stack.pool)
            .await
            .unwrap();
    assert_eq!(jobs, ["a", "b"]);
    let noted: Vec<_> =
        served.audit().await.into_iter().map(|(_, _, action, target, said)| (action, target, said)).collect();
    let (action, target, said) = &noted[0];
    assert_eq!((action.as_str(), target), ("mail.resend", &format!("{client}/{failed}")));
    assert!(said.as_ref().is_some_and(|said| said.contains("sent again")), "{noted:?}");
    assert_eq!(noted[3].0, "mail.send_twice");
}
