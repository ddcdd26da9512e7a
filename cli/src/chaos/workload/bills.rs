//! A back office: it has bills made for what is loaded, and tells of payments, again and again until it is answered.

use std::{net::SocketAddr, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Payment, Workload, lock};

/// Tries of one request: a minute and more when there is nobody.
const TRIES: usize = 150;

pub(super) async fn bill(apis: &[SocketAddr], key: &str, seed: u64, workload: &Workload, stop: &CancellationToken) {
    let mut dice = StdRng::seed_from_u64(seed ^ 0x6269_6c6c);
    let client = Client::new();
    let office = Office { client, apis, key };
    let mut number = 0;
    while !stop.is_cancelled() {
        number += 1;
        if let Some(run) = office.insist(&format!("run-{number}"), "v1/billing-runs", &json!({})).await
            && let Some(id) = id(&run["id"])
        {
            lock(&workload.runs).push(id);
        }
        tokio::time::sleep(Duration::from_millis(dice.random_range(3_000..9_000))).await;
        for bill in office.bills().await {
            if dice.random_bool(0.7) {
                continue;
            }
            let Some(debt) = id(&bill["debt_id"]) else { continue };
            let amount = dice.random_range(1..90);
            let payment = format!("paid-{number}-{debt}");
            let notice = json!({
                "debtId": debt, "paymentId": payment, "paidAt": "2026-01-31 10:00:00",
                "paidAmount": format!("{}.{:02}", amount / 100, amount % 100), "paidBy": "John Doe",
            });
            lock(&workload.paid).insert(payment.clone(), Payment { debt, amount, answered: false });
            let told = office.insist(&payment, "v1/payments", &notice).await;
            if let (Some(_), Some(paid)) = (told, lock(&workload.paid).get_mut(&payment)) {
                paid.answered = true;
            }
        }
    }
}

struct Office<'a> {
    client: Client,
    apis: &'a [SocketAddr],
    key: &'a str,
}

impl Office<'_> {
    /// Asks one API after the other, under one idempotency key, until there is a good answer.
    async fn insist(&self, key: &str, path: &str, body: &Value) -> Option<Value> {
        for attempt in 0..TRIES {
            let api = self.apis[attempt % self.apis.len()];
            let request = self.client.post(format!("http://{api}/{path}")).header("idempotency-key", key).json(body);
            if let Some(answer) = self.answer(request).await {
                return Some(answer);
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        None
    }

    /// Some of the bills; none when nobody answers.
    async fn bills(&self) -> Vec<Value> {
        let request = self.client.get(format!("http://{}/v1/bills?limit=20", self.apis[0]));
        match self.answer(request).await {
            Some(Value::Object(mut page)) => match page.remove("items") {
                Some(Value::Array(bills)) => bills,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    async fn answer(&self, request: RequestBuilder) -> Option<Value> {
        let request = request.bearer_auth(self.key).timeout(Duration::from_secs(20));
        let response = request.send().await.ok().filter(|response| response.status().is_success())?;
        response.json().await.ok()
    }
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}
