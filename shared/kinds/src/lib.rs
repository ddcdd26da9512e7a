//! What is known of all subjects at once: which [`HOOKS`] each kind of files has, who announces how an upload ended, which
//! [`QUEUES`] there are, and whose a job or a group is ([`Owner`]). A new kind, queue or owner is entered here and nowhere else.

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
