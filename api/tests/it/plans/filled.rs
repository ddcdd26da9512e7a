//! Two clients' rows, made by Postgres itself.

use gristmill_core::ClientId;
use uuid::Uuid;

use crate::support::{Api, HEADER};

/// Rows of a table that are the other client's.
pub(super) const LARGE: i64 = 1_000_000;
/// And this one's.
pub(super) const SMALL: i64 = 20_000;
/// The tables that only lists of one client's read are large enough with a fifth.
pub(super) const PART: i64 = 5;

/// The tables that are filled, none of which is analyzed by itself.
pub(super) const TABLES: &[&str] = &[
    "debts_1",
    "bills_1",
    "payments",
    "debt_payments",
    "claims",
    "claim_lines",
    "messages_3",
    "mails",
    "webhook_deliveries",
    "ledger_postings",
    "ledger_entries",
    "provider_totals",
    "provider_spans",
    "rejects",
    "normalizations",
    "reports",
    "mail_suppressions",
    "gristmill.jobs",
    "transactions_2",
    "file_order",
];

/// Tables that have a row a file or a run: a database knows of them soon.
pub(super) const KNOWN: &[&str] = &["uploads", "upload_progress", "chunks", "billing_runs", "billing_run_uploads"];

/// What there is of the small client.
pub(super) struct Filled {
    client_id: ClientId,
    /// The upload that its debts and messages came with; billed.
    pub(super) upload: Uuid,
}

/// What rows are of. The number is part of their ids.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Debt = 1,
    Claim = 2,
    Mail = 3,
    Delivery = 4,
    Normalization = 7,
    Webhook = 8,
    Run = 9,
    /// A file without rows.
    Upload = 10,
    Rule = 11,
    /// The one upload of transactions.
    Statement = 12,
    /// A dead one.
    Job = 13,
}

impl Filled {
    /// The `n`th of a kind, as [`MADE`] makes its id. Of some there are [`SMALL`], of others a few.
    pub(super) fn id(&self, kind: Kind, n: usize) -> Uuid {
        let client = u128::from(self.client_id.get().unsigned_abs());
        Uuid::from_u128((n as u128) << 64 | client << 8 | kind as u128)
    }

    pub(super) fn client(&self) -> ClientId {
        self.client_id
    }

    /// The bill with that number, as `gristmill_billing::BillId` writes it.
    pub(super) fn bill(&self, n: usize) -> Uuid {
        let id = gristmill_billing::BillId { client_id: self.client_id, number: n as i64 };
        id.to_string().parse().expect("a bill's id is a UUID")
    }
}

/// Fills the tables: the large client's rows, then what the planner may know, then the small one's. Tables that only lists of
/// one client's read get one `part`th of the large one's.
pub(super) async fn fill(api: &Api, part: i64) -> Filled {
    let pool = &api.stack.pool;
    sqlx::raw_sql(MADE).execute(pool).await.unwrap();
    for table in TABLES {
        let sql = format!("alter table {table} set (autovacuum_enabled = false)");
        sqlx::query(&sql).execute(pool).await.unwrap();
    }
    let large: ClientId =
        sqlx::query_scalar("insert into clients (name) values ('large') returning id").fetch_one(pool).await.unwrap();
    let (large_upload, small_upload) = (Uuid::now_v7(), Uuid::now_v7());
    fill_one(api, large, large_upload, LARGE, part).await;
    for table in TABLES {
        sqlx::query(&format!("analyze {table}")).execute(pool).await.unwrap();
    }
    fill_one(api, api.client_id, small_upload, SMALL, 1).await;
    Filled { client_id: api.client_id, upload: small_upload }
}

async fn fill_one(api: &Api, client_id: ClientId, upload: Uuid, rows: i64, part: i64) {
    let mut conn = api.stack.pool.acquire().await.unwrap();
    for statement in FILL.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        let rows = if statement.contains("-- a part") { rows / part } else { rows };
        let sql = statement
            .replace(":header", HEADER.trim())
            .replace(":record", AGAIN.trim())
            .replace(":client", &client_id.to_string())
            .replace(":upload", &format!("'{upload}'"))
            .replace(":rows", &rows.to_string());
        let done = sqlx::query(&sql).execute(&mut *conn).await;
        done.unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
}

/// A file of one record that each client has sent before.
pub(super) const AGAIN: &str = "Ana,9558,ana@example.com,7811.50,2026-01-19,5acb3fd0-6d1a-4cf8-a6b5-0c9ad5ecc0b8\n";

/// An id that tells number, client and kind, in the order of the numbers.
const MADE: &str = "
create function made(kind int, client int, n bigint) returns uuid language sql immutable as
$$ select (lpad(to_hex(n), 16, '0') || lpad(to_hex(client::bigint * 256 + kind), 16, '0'))::uuid $$";

const FILL: &str = "
insert into uploads (id, client_id, kind, policy, state, filename, group_id, header, bytes, sha256, lines, received_at, completed_at, first_block)
values (:upload, :client, 'debts', 'partial', 'completed', 'filled.csv', :upload, '', 1, '\\x00', 1, now(), now(), 0);
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
from generate_series(1, :rows) n -- a part
;
insert into provider_totals (client_id, provider_npi, claims, lines, net_fee_minor)
select :client, (1000000000 + n)::text, 100, 100, 10000 from generate_series(0, 299) n;
insert into ledger_accounts (client_id, kind, reference) values (:client, 'plan', 'GRP-1'), (:client, 'provider', '1');
insert into ledger_postings (claim_id, purpose, client_id)
select made(2, :client, n), 'payment', :client from generate_series(7, :rows, 7) n -- a part
;
insert into ledger_entries (claim_id, purpose, account_id, amount_minor)
select made(2, :client, n), 'payment', a.id, case a.kind when 'plan' then -100 else 100 end
from generate_series(7, :rows, 7) n, ledger_accounts a where a.client_id = :client -- a part
;
insert into messages (message_key, client_id, upload_id, line, sent_at, text_credits, id)
select made(5, :client, n), :client, :upload, n, timestamptz '2024-01-01' + n % 200 * interval '1 day', 20, 'm' || n
from generate_series(1, :rows) n -- a part
;
insert into mails (id, client_id, kind, ref, recipient, subject, message_id, state)
select made(3, :client, n), :client, 'bill_new', n::text, 'payer' || n || '@example.com', 'Bill', '<' || n || '@example.com>',
       case when n % 50 = 0 then 'failed' else 'sent' end
from generate_series(1, :rows) n -- a part
;
insert into webhook_endpoints (id, client_id, url, events, secret)
values (made(8, :client, 1), :client, 'https://example.com/hook', '{bill.created}', '\\x00');
insert into webhook_deliveries (id, endpoint_id, client_id, event_id, type, payload, state)
select made(4, :client, n), made(8, :client, 1), :client, made(6, :client, n), 'bill.created', '{}',
       case when n % 50 = 0 then 'failed' else 'delivered' end
from generate_series(1, :rows) n -- a part
;
insert into webhook_endpoints (id, client_id, url, events, secret)
select made(8, :client, n), :client, 'https://example.com/hook', '{bill.created}', '\\x00' from generate_series(2, 9) n;
insert into uploads (id, client_id, kind, policy, state, filename, group_id, header, bytes, sha256, lines, received_at, completed_at, first_block)
select made(10, :client, n), :client, 'debts', 'partial', 'completed', 'small.csv', made(10, :client, n), '', 1, '\\x00', 1, now(), now(), 0
from generate_series(1, 2000) n;
insert into upload_progress (upload_id, accepted, rows_read)
select made(10, :client, n), 0, 0 from generate_series(1, 2000) n;
insert into uploads (id, client_id, kind, policy, state, filename, group_id, header, bytes, sha256, lines, received_at, completed_at, first_block)
values (made(15, :client, 1), :client, 'debts', 'partial', 'completed', 'again.csv', made(15, :client, 1), ':header', 1, sha256(':header\n:record\n'), 2, now(), now(), 0);
insert into chunks (upload_id, no, first_line, first_byte, bytes, sha256, rows_read, accepted, rejected, duplicate)
values (made(15, :client, 1), 0, 2, 1, 1, sha256(':record\n'), 20, 0, 0, 20);
insert into upload_progress (upload_id, accepted, rows_read, duplicate) values (made(15, :client, 1), 0, 20, 20);
insert into rejects (upload_id, line, chunk_no, code, message, raw, first_upload_id, first_line)
select made(15, :client, 1), n, 0, 'duplicate', 'stands already', 'x', :upload, n from generate_series(1, 20) n;
insert into normalization_rules (id, client_id, test, pattern, name)
select made(11, :client, n), :client, 'contains', 'nobody ' || n, 'Nobody' from generate_series(1, 40) n;
insert into rejects (upload_id, line, chunk_no, code, message, raw)
select :upload, n, 0, 'bad_amount', 'is no amount', 'x' from generate_series(1, :rows) n -- a part
;
insert into normalizations (id, client_id, date, description, amount_minor, state, completed_at)
select made(7, :client, n), :client, '2026-01-01', 'Payment ' || n, 100, 'completed', now()
from generate_series(1, :rows) n -- a part
;
insert into reports (client_id, id, source, name, credit_cost)
select :client, n::text, 'client', 'Report ' || n, 100 from generate_series(1, :rows) n -- a part
;
insert into mail_suppressions (client_id, address, reason)
select :client, 'payer' || n || '@example.com', 'hard' from generate_series(1, :rows) n -- a part
;
insert into uploads (id, client_id, kind, policy, state, filename, group_id, header, bytes, sha256, lines, received_at, completed_at, first_block)
values (made(12, :client, 1), :client, 'transactions', 'partial', 'completed', 'paid.csv', made(12, :client, 1), '', 1, '\\x00', 1, now(), now(), 0);
insert into upload_progress (upload_id, accepted, rows_read) values (made(12, :client, 1), :rows, :rows) -- a part
;
insert into transactions (transaction_id, client_id, upload_id, line, amount_minor, date, description)
select made(14, :client, n), :client, made(12, :client, 1), n, 100, '2026-01-01', 'Payment ' || n
from generate_series(1, :rows) n -- a part
;
insert into file_order (upload_id, last_line, lines, keys)
select made(12, :client, 1), max(n), array_agg(n order by n), array_agg(made(14, :client, n) order by n)
from generate_series(1, :rows) n group by (n - 1) / 1000 -- a part
;
insert into gristmill.jobs (id, name, queue, priority, payload, state, max_attempts, client_id, fair_key, finished_at)
select made(13, :client, n), 'bulk.job', 'bulk', 5, '{}', 'dead', 5, :client, :client::text, now()
from generate_series(1, :rows) n -- a part
";
