//! Webhooks: where clients want to be told of what happens, and what they are told.
//!
//! Who changes something publishes an [`Event`] in the same transaction ([`publish`]): for each endpoint of the client that
//! wants it, a delivery is entered and its job ([`jobs::Deliver`]) enqueued. The worker delivers, by [`outbound`], which
//! calls only what may be called.

mod breaker;
mod deliver;
mod event;
mod paid;
mod publish;
mod signature;

pub mod deliveries;
pub mod endpoints;
pub mod jobs;
pub mod outbound;
pub mod waits;

pub use deliver::{Deliverer, DeliveryOutcome};
pub use event::{BillChange, Event, EventType, Merchant, Money, NormalizationCompleted, Rows, UploadEnd};
pub use paid::bills_paid;
pub use publish::{TEST, pending, publish, publish_all, test, wanted};
pub use signature::{NoRandomness, Scheme};
