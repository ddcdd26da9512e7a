//! What jobs and groups are of: uploads and billing runs, which link to them and which they cannot do without.

use std::collections::HashMap;

use futures::future::BoxFuture;
use gristmill_board::{ClientNames, Error, Owner, Owners};
use gristmill_core::ClientId;
use gristmill_kinds::{Owner as Needing, QUEUES, owner};
use gristmill_platform::keys;
use gristmill_queue::{GroupId, Job as _, JobDetail};
use gristmill_uploads::UploadId;
use gristmill_webhooks::jobs::Deliver;
use sqlx::PgPool;
use uuid::Uuid;

use super::format;

pub(super) struct Product(pub(super) PgPool);

impl Owners for Product {
    fn clients(&self) -> BoxFuture<'_, Result<Option<ClientNames>, Error>> {
        Box::pin(async move { Ok(Some(keys::clients(&self.0).await?)) })
    }

    fn of_job<'a>(&'a self, job: &'a JobDetail) -> BoxFuture<'a, Result<Option<Owner>, Error>> {
        Box::pin(async move { Ok(source(&self.0, job).await?.map(Source::owner)) })
    }

    fn of_groups<'a>(&'a self, groups: &'a [GroupId]) -> BoxFuture<'a, Result<HashMap<GroupId, Owner>, Error>> {
        Box::pin(async move {
            let found = of_groups(&self.0, groups).await?;
            Ok(found.into_iter().map(|of| (of.group_id, of.owner())).collect())
        })
    }

    fn needs_job(&self, job: &JobDetail) -> Option<String> {
        Needing::of_job(job).map(|owner| owner.to_string())
    }

    fn needs_group(&self, group: GroupId) -> BoxFuture<'_, Result<Option<String>, Error>> {
        Box::pin(async move { Ok(Needing::of_group(&self.0, group).await?.map(|owner| owner.to_string())) })
    }

    fn needed_names(&self) -> Vec<String> {
        owner::of_uploads().chain(owner::of_runs()).map(str::to_owned).collect()
    }

    fn queues(&self) -> Vec<String> {
        QUEUES.map(str::to_owned).into()
    }

    fn fair_key_of(&self, queue: &str) -> &str {
        if queue == Deliver::QUEUE { "endpoint" } else { "client" }
    }
}

/// The part of a file that a chunk's job is about.
#[derive(sqlx::FromRow)]
struct Source {
    upload_id: UploadId,
    no: i32,
    first_line: i64,
    first_byte: i64,
    bytes: i64,
}

impl Source {
    fn owner(self) -> Owner {
        let note = format!(
            "chunk {}: bytes {} to {}, from line {}",
            self.no,
            format::count(self.first_byte),
            format::count(self.first_byte + self.bytes),
            format::count(self.first_line)
        );
        let label = format!("upload {}", format::short(self.upload_id));
        Owner::new("upload", label).at(format!("/uploads/{}", self.upload_id)).noted(note)
    }
}

async fn source(pool: &PgPool, job: &JobDetail) -> Result<Option<Source>, sqlx::Error> {
    let upload = job.payload["upload_id"].as_str().and_then(|id| id.parse::<UploadId>().ok());
    let no = job.payload["no"].as_i64().and_then(|no| i32::try_from(no).ok());
    let (Some(upload), Some(no)) = (upload, no) else { return Ok(None) };
    sqlx::query_as("select upload_id, no, first_line, first_byte, bytes from chunks where upload_id = $1 and no = $2")
        .bind(upload)
        .bind(no)
        .fetch_optional(pool)
        .await
}

/// What a group is of.
#[derive(sqlx::FromRow)]
struct Of {
    group_id: GroupId,
    client_id: ClientId,
    client: String,
    /// Of a billing run.
    run_id: Option<Uuid>,
    /// Of an upload.
    upload_id: Option<UploadId>,
    filename: Option<String>,
}

impl Of {
    fn owner(self) -> Owner {
        let Self { client_id, client, run_id, upload_id, filename, .. } = self;
        let owner = match upload_id {
            Some(id) => {
                let label = filename.unwrap_or_else(|| format!("upload {}", format::short(id)));
                Owner::new("upload", label).at(format!("/uploads/{id}"))
            }
            None => {
                let run = run_id.map_or_else(String::new, |run| format!("&run={run}"));
                Owner::new("billing run", "billing run").at(format!("/bills?client={client_id}{run}"))
            }
        };
        owner.of(client)
    }
}

/// The uploads and billing runs whose groups these are. An upload and its group are made together, so that its key finds it.
async fn of_groups(pool: &PgPool, groups: &[GroupId]) -> Result<Vec<Of>, sqlx::Error> {
    let around = |id: &GroupId, seconds: i128| {
        let millis = i128::try_from(id.get().as_u128() >> 80).unwrap_or(0) + seconds * 1_000;
        Uuid::from_u128(u128::try_from(millis).unwrap_or(0) << 80)
    };
    let (Some(first), Some(last)) = (groups.iter().min(), groups.iter().max()) else { return Ok(Vec::new()) };
    sqlx::query_as(
        "select u.group_id, c.id as client_id, c.name as client, null::uuid as run_id, u.id as upload_id, u.filename
         from uploads u join clients c on c.id = u.client_id
         where u.id between $2 and $3 and u.group_id = any($1)
         union all
         select r.group_id, c.id, c.name, r.id, null, null from billing_runs r join clients c on c.id = r.client_id
         where r.group_id = any($1)",
    )
    .bind(groups)
    .bind(around(first, -60))
    .bind(around(last, 60))
    .fetch_all(pool)
    .await
}
