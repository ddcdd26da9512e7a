//! What is known of all subjects at once: which [`HOOKS`] each kind of files has, who announces how an upload ended, which
//! [`QUEUES`] and [`JOBS`] there are, and whose a job or a group is ([`Owner`]). A new kind, queue or owner is entered here and nowhere else.

mod announcer;
pub mod owner;

use gristmill_pipelines::Kind;
use gristmill_queue::{Job, RedriveJobs};
use gristmill_uploads::{Hooks, KindHooks, RowsOnly, jobs};

pub use owner::Owner;

/// The hooks of every kind: what a process hands to uploads.
pub const HOOKS: Hooks = Hooks { of: hooks, announcer: &announcer::MailsAndWebhooks };

/// What a kind brings about beyond its rows.
#[must_use]
pub fn hooks(kind: Kind) -> &'static dyn KindHooks {
    match kind {
        Kind::Debts | Kind::Transactions => &RowsOnly,
        Kind::Claims => &gristmill_claims::ClaimHooks,
        Kind::Messages => &gristmill_messages::MessageHooks,
    }
}

/// The hooks of every kind, a kind after the other.
pub fn all_hooks() -> impl Iterator<Item = &'static dyn KindHooks> {
    Kind::ALL.iter().map(|kind| hooks(*kind))
}

/// The queues of the product's jobs: they are there before their first job and without a worker.
pub const QUEUES: [&str; 8] = [
    jobs::LoadChunk::QUEUE,
    jobs::CloseUpload::QUEUE,
    gristmill_billing::jobs::BillingTick::QUEUE,
    gristmill_mail::jobs::SendMail::QUEUE,
    gristmill_claims::jobs::ProcessPayment::QUEUE,
    gristmill_webhooks::jobs::Deliver::QUEUE,
    gristmill_normalization::jobs::Normalize::QUEUE,
    RedriveJobs::QUEUE,
];

/// The product's jobs. They carry ids, which its SQL looks for, and no content: their payloads are never encrypted.
pub const JOBS: [&str; 24] = [
    jobs::LoadChunk::NAME,
    jobs::LoadPart::NAME,
    jobs::CloseUpload::NAME,
    jobs::FailUpload::NAME,
    jobs::PurgeUpload::NAME,
    jobs::DropObjects::NAME,
    jobs::TendSegments::NAME,
    jobs::DropOldRows::NAME,
    gristmill_billing::jobs::BillingTick::NAME,
    gristmill_billing::jobs::DunningTick::NAME,
    gristmill_billing::jobs::PlanRun::NAME,
    gristmill_billing::jobs::BillShard::NAME,
    gristmill_billing::jobs::CloseRun::NAME,
    gristmill_billing::jobs::FailRun::NAME,
    gristmill_claims::jobs::ProcessPayment::NAME,
    gristmill_claims::jobs::PayUpload::NAME,
    gristmill_claims::jobs::VoidUpload::NAME,
    gristmill_mail::jobs::SendMail::NAME,
    gristmill_mail::jobs::SendBills::NAME,
    gristmill_mail::jobs::EnterUnsent::NAME,
    gristmill_webhooks::jobs::Deliver::NAME,
    gristmill_webhooks::jobs::AnnounceBills::NAME,
    gristmill_webhooks::jobs::ReplayDeliveries::NAME,
    gristmill_normalization::jobs::Normalize::NAME,
];
