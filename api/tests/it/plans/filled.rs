//! Two clients' rows, made by Postgres itself.

use uuid::Uuid;

use super::bill_id;
use crate::support::Api;

/// Rows of a table that are the other client's.
pub(super) const LARGE: i64 = 1_000_000;
/// And this one's.
pub(super) const SMALL: i64 = 20_000;

/// The tables that are filled, none of which is analyzed by itself.
pub(super) const TABLES: &[&str] = &[
    "debts",
    "bills",
    "payments",
    "debt_payments",
    "claims",
    "claim_lines",
    "messages",
    "mails",
    "webhook_deliveries",
    "ledger_postings",
    "ledger_entries",
    "provider_totals",
    "provider_spans",
];

/// What there is of the small client.
pub(super) struct Filled {
    client_id: i32,
    pub(super) run: Uuid,
    pub(super) debts: Uuid,
    pub(super) bill: Uuid,
    pub(super) debt: Uuid,
    pub(super) claim: Uuid,
    pub(super) mail: Uuid,
    pub(super) mail_address: String,
    pub(super) webhook: Uuid,
    pub(super) delivery: Uuid,
}

impl Filled {
    pub(super) fn debt_at(&self, n: usize) -> Uuid {
        id("debt", self.client_id, n)
    }

    pub(super) fn bill_at(&self, n: usize) -> Uuid {
        bill_id(self.client_id, n)
    }
}

/// As [`MADE`] makes them.
fn id(what: &str, client_id: i32, n: usize) -> Uuid {
    let kind = match what {
        "debt" => 1,
        "claim" => 2,
        "mail" => 3,
        _ => 4,
    };
    Uuid::from_u128((n as u128) << 64 | u128::from(client_id.unsigned_abs()) << 8 | kind)
}

/// Fills the tables: the large client's rows, then what the planner may know, then the small one's.
pub(super) async fn fill(api: &Api) -> Filled {
    let pool = &api.stack.pool;
    sqlx::raw_sql(MADE).execute(pool).await.unwrap();
    for table in TABLES {
        let sql = format!("alter table {table} set (autovacuum_enabled = false)");
        sqlx::query(&sql).execute(pool).await.unwrap();
    }
    let large: i32 =
        sqlx::query_scalar("insert into clients (name) values ('large') returning id").fetch_one(pool).await.unwrap();
    let (large_upload, small_upload) = (Uuid::now_v7(), Uuid::now_v7());
    fill_one(api, large, large_upload, LARGE).await;
    for table in TABLES {
        sqlx::query(&format!("analyze {table}")).execute(pool).await.unwrap();
    }
    fill_one(api, api.client_id, small_upload, SMALL).await;
    let client_id = api.client_id;
    let (run, webhook): (Uuid, Uuid) = sqlx::query_as(
        "select r.id, w.id from billing_runs r join webhook_endpoints w using (client_id) where client_id = $1",
    )
    .bind(client_id)
    .fetch_one(pool)
    .await
    .unwrap();
    Filled {
        client_id,
        run,
        webhook,
        debts: small_upload,
        bill: bill_id(client_id, 77),
        debt: id("debt", client_id, 77),
        claim: id("claim", client_id, 77),
        mail: id("mail", client_id, 77),
        mail_address: "payer77@example.com".into(),
        delivery: id("delivery", client_id, 77),
    }
}

async fn fill_one(api: &Api, client_id: i32, upload: Uuid, rows: i64) {
    let mut conn = api.stack.pool.acquire().await.unwrap();
    for statement in FILL.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        // The tables that only lists of one client's read are large enough with a fifth.
        let rows = if statement.contains("-- a fifth") && rows > SMALL { rows / 5 } else { rows };
        let sql = statement
            .replace(":client", &client_id.to_string())
            .replace(":upload", &format!("'{upload}'"))
            .replace(":rows", &rows.to_string());
        let done = sqlx::query(&sql).execute(&mut *conn).await;
        done.unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
}

/// An id that tells number, client and kind, in the order of the numbers.
const MADE: &str = "
create function made(kind int, client int, n bigint) returns uuid language sql immutable as
$$ select (lpad(to_hex(n), 16, '0') || lpad(to_hex(client::bigint * 256 + kind), 16, '0'))::uuid $$";

const FILL: &str = "
insert into uploads (id, client_id, kind, policy, state, filename, group_id, header, completed_at, first_block)
values (:upload, :client, 'debts', 'partial', 'completed', 'filled.csv', :upload, '', now(), 0);
insert into upload_progress (upload_id, accepted, rows_read) values (:upload, :rows, :rows);
insert into billing_runs (id, client_id, cause, state, bills, amount_minor, issued_on, period, cutoff, currency, created_at, finished_at)
values (made(9, :client, 1), :client, 'schedule', 'completed', :rows, :rows * 1000, '2026-01-15', '2026-01-01', '2031-01-01', 'BRL', now(), now());
insert into billing_run_uploads (run_id, upload_id, rows) values (made(9, :client, 1), :upload, :rows);
insert into billing_numbers (run_id, from_number, to_number) values (made(9, :client, 1), 1, :rows);
insert into debts (debt_id, client_id, upload_id, line, amount_minor, due_date, name, government_id, email)
select made(1, :client, n), :client, :upload, n + 1, 1000, date '2030-01-01' + (n % 300)::int, 'Payer ' || n, '1234', 'payer' || n || '@example.com'
from generate_series(1, :rows) n;
insert into bills (client_id, period, number, debt_id, run_id, amount_minor, paid_minor, due_on, state)
select :client, '2026-01-01', n, made(1, :client, n), made(9, :client, 1), 1000, case when n % 9 = 0 then 1000 else 0 end,
       date '2030-01-01' + (n % 300)::int, case when n % 9 = 0 then 'paid' else 'open' end
from generate_series(1, :rows) n;
insert into debt_payments (debt_id, client_id, paid_minor)
select made(1, :client, n), :client, 1000 from generate_series(9, :rows, 9) n;
insert into payments (client_id, debt_id, payment_id, amount_minor, paid_at, paid_by)
select :client, made(1, :client, n), 'p', 1000, now(), 'Ana' from generate_series(9, :rows, 9) n;
insert into claims (id, client_id, subscriber, provider_npi, service_date, lines, net_fee_minor, state)
select made(2, :client, n), :client, (n % 5000)::text, (1000000000 + n % 300)::text, date '2024-01-01' + (n % 200)::int, 1, 100,
       case when n % 7 = 0 then 'posted' else 'pending' end
from generate_series(1, :rows) n -- a fifth
;
insert into provider_totals (client_id, provider_npi, claims, lines, net_fee_minor)
select :client, (1000000000 + n)::text, 100, 100, 10000 from generate_series(0, 299) n;
insert into ledger_accounts (client_id, kind, reference) values (:client, 'plan', 'GRP-1'), (:client, 'provider', '1');
insert into ledger_postings (claim_id, purpose, client_id)
select made(2, :client, n), 'payment', :client from generate_series(7, :rows, 7) n -- a fifth
;
insert into ledger_entries (claim_id, purpose, account_id, amount_minor)
select made(2, :client, n), 'payment', a.id, case a.kind when 'plan' then -100 else 100 end
from generate_series(7, :rows, 7) n, ledger_accounts a where a.client_id = :client -- a fifth
;
insert into messages (message_key, client_id, upload_id, line, sent_at, text_credits, id)
select made(5, :client, n), :client, :upload, n, timestamptz '2024-01-01' + n % 200 * interval '1 day', 20, 'm' || n
from generate_series(1, :rows) n -- a fifth
;
insert into mails (id, client_id, kind, ref, recipient, subject, message_id, state)
select made(3, :client, n), :client, 'bill_new', n::text, 'payer' || n || '@example.com', 'Bill', '<' || n || '@example.com>',
       case when n % 50 = 0 then 'failed' else 'sent' end
from generate_series(1, :rows) n -- a fifth
;
insert into webhook_endpoints (id, client_id, url, events, secret)
values (made(8, :client, 1), :client, 'https://example.com/hook', '{bill.created}', '\\x00');
insert into webhook_deliveries (id, endpoint_id, client_id, event_id, type, payload, state)
select made(4, :client, n), made(8, :client, 1), :client, made(6, :client, n), 'bill.created', '{}',
       case when n % 50 = 0 then 'failed' else 'delivered' end
from generate_series(1, :rows) n -- a fifth
";
