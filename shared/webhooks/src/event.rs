//! What clients are told: a closed set, each event with its data.

use gristmill_billing::bills::{Bill, Status};
use gristmill_core::UnknownVariant;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $word:tt),+ $(,)?) => {
        /// What has happened.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
            strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray, strum::VariantNames,
        )]
        #[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::of::<Self>)]
        pub enum EventType { $($(#[$doc])* #[serde(rename = $word)] #[strum(serialize = $word)] $variant),+ }
    };
}

event_types! {
    /// The merchant of a transaction is known, or is known not to be known.
    NormalizationCompleted = "normalization.completed",
    /// An upload is closed: every row is accounted for.
    UploadCompleted = "upload.completed",
    /// An upload has failed: nothing of it counts.
    UploadFailed = "upload.failed",
    /// A billing run has made a bill.
    BillCreated = "bill.created",
    /// A payment has settled a bill.
    BillPaid = "bill.paid",
}

impl EventType {
    /// Every type.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// Something that has happened, with what is told of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// [`EventType::NormalizationCompleted`].
    NormalizationCompleted(NormalizationCompleted),
    /// [`EventType::UploadCompleted`].
    UploadCompleted(UploadEnd),
    /// [`EventType::UploadFailed`].
    UploadFailed(UploadEnd),
    /// [`EventType::BillCreated`].
    BillCreated(BillChange),
    /// [`EventType::BillPaid`].
    BillPaid(BillChange),
}

/// A transaction whose merchant was looked for.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct NormalizationCompleted {
    /// As it was answered to the request.
    pub request_id: Uuid,
    /// Who it was.
    pub merchant: Merchant,
}

/// A merchant, as far as it is known.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = EventMerchant)]
pub struct Merchant {
    /// Its name; `n/a` when nothing matches.
    #[schema(example = "Netflix")]
    pub name: String,
    /// By which rule it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How sure that is, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What it sells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its id in Wikidata.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Q907311")]
    pub wikidata_id: Option<String>,
}

/// An upload that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UploadEnd {
    /// The upload.
    pub id: Uuid,
    /// Which pipeline read the file.
    #[schema(example = "debts")]
    pub kind: String,
    /// `completed` or `failed`.
    #[schema(example = "completed")]
    pub state: String,
    /// As the client named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Size of the file, decompressed.
    pub bytes: i64,
    /// SHA-256 of the file, in hexadecimal, when it arrived whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What became of its records.
    pub rows: Rows,
    /// Why it failed: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When its header was accepted.
    pub created_at: Timestamp,
}

/// What became of records: `read = accepted + rejected + duplicate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = UploadEndRows)]
pub struct Rows {
    /// Records looked at.
    pub read: i64,
    /// Good ones.
    pub accepted: i64,
    /// Bad ones.
    pub rejected: i64,
    /// Good ones whose key was there before.
    pub duplicate: i64,
    /// Of `duplicate`, those that say something else than the row that counts.
    #[serde(skip_serializing_if = "is_zero")]
    pub conflicting_duplicate: i64,
    /// Of `accepted`, those that replaced a row of an earlier upload.
    #[serde(skip_serializing_if = "is_zero")]
    pub replaced: i64,
}

/// What most files have none of, and nothing is said of it then.
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A bill that was made, or paid. Who pays it is not said: `GET /v1/bills/{id}` says that to whoever has a key.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct BillChange {
    /// The bill.
    pub id: Uuid,
    /// Its number, of its client.
    pub number: i64,
    /// What it is for.
    pub debt_id: Uuid,
    /// The file that the debt came with.
    pub upload_id: Uuid,
    /// The run that made it.
    pub billing_run_id: Uuid,
    /// How it stands.
    pub status: Status,
    /// What it asks for.
    pub amount: Money,
    /// What was paid of it.
    pub paid: Money,
    /// When it was made, by its client's calendar.
    #[schema(value_type = String, format = Date)]
    pub issued_on: Date,
    /// When it is to be paid.
    #[schema(value_type = String, format = Date)]
    pub due_on: Date,
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = EventMoney)]
pub struct Money {
    /// In the currency's minor unit: exact.
    pub minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// The same for reading.
    #[schema(example = "7811.50")]
    pub decimal: String,
}

impl Money {
    /// Of a currency whose minor unit is a hundredth.
    fn of(minor: i64, currency: &str) -> Self {
        let (sign, absolute) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
        let decimal = format!("{sign}{}.{:02}", absolute / 100, absolute % 100);
        Self { minor, currency: currency.to_owned(), decimal }
    }
}

impl From<&Bill> for BillChange {
    fn from(bill: &Bill) -> Self {
        Self {
            id: bill.id().uuid(),
            number: bill.number,
            debt_id: bill.debt_id,
            upload_id: bill.upload_id,
            billing_run_id: bill.run_id,
            status: bill.status,
            amount: Money::of(bill.amount_minor, &bill.currency),
            paid: Money::of(bill.paid_minor, &bill.currency),
            issued_on: bill.issued_on.to_jiff(),
            due_on: bill.due_on.to_jiff(),
        }
    }
}

/// What an event looks like on the wire, by the specification of Standard Webhooks.
#[derive(Serialize)]
struct Body<'a> {
    r#type: EventType,
    timestamp: Timestamp,
    data: &'a Event,
}

/// The callback of the old API.
#[derive(Serialize)]
struct Callback<'a> {
    merchant: CallbackMerchant<'a>,
    request_id: Uuid,
}

#[derive(Serialize)]
struct CallbackMerchant<'a> {
    name: &'a str,
}

/// Texts that somebody else has written are cut to this, so that no payload comes near 20 kB.
const TEXT_LIMIT: usize = 1_000;

impl Event {
    /// What has happened.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        match self {
            Self::NormalizationCompleted(_) => EventType::NormalizationCompleted,
            Self::UploadCompleted(_) => EventType::UploadCompleted,
            Self::UploadFailed(_) => EventType::UploadFailed,
            Self::BillCreated(_) => EventType::BillCreated,
            Self::BillPaid(_) => EventType::BillPaid,
        }
    }

    /// As endpoints get it.
    pub(crate) fn body(&self, at: Timestamp) -> serde_json::Result<String> {
        serde_json::to_string(&Body { r#type: self.kind(), timestamp: at, data: &self.cut() })
    }

    /// As endpoints of the old API get it; they are told of normalizations only.
    pub(crate) fn callback(&self) -> Option<serde_json::Result<String>> {
        let Self::NormalizationCompleted(event) = self else { return None };
        let merchant = CallbackMerchant { name: &event.merchant.name };
        Some(serde_json::to_string(&Callback { merchant, request_id: event.request_id }))
    }

    fn cut(&self) -> Self {
        let mut event = self.clone();
        match &mut event {
            Self::NormalizationCompleted(data) => cut(&mut data.merchant.name),
            Self::UploadCompleted(data) | Self::UploadFailed(data) => {
                [&mut data.filename, &mut data.detail].into_iter().flatten().for_each(cut);
            }
            Self::BillCreated(_) | Self::BillPaid(_) => {}
        }
        event
    }
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(TEXT_LIMIT) {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(filename: String) -> Event {
        Event::UploadFailed(UploadEnd {
            id: Uuid::nil(),
            kind: "debts".into(),
            state: "failed".into(),
            filename: Some(filename),
            bytes: 7,
            sha256: None,
            rows: Rows { read: 1, accepted: 0, rejected: 1, duplicate: 0, conflicting_duplicate: 0, replaced: 0 },
            reason: Some("rejected_rows".into()),
            detail: None,
            created_at: Timestamp::UNIX_EPOCH,
        })
    }

    #[test]
    fn a_payload_has_type_timestamp_and_data() {
        let body = upload("a.csv".into()).body(Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            body,
            r#"{"type":"upload.failed","timestamp":"1970-01-01T00:00:00Z","data":{"id":"00000000-0000-0000-0000-000000000000","kind":"debts","state":"failed","filename":"a.csv","bytes":7,"rows":{"read":1,"accepted":0,"rejected":1,"duplicate":0},"reason":"rejected_rows","created_at":"1970-01-01T00:00:00Z"}}"#
        );
    }

    #[test]
    fn no_name_makes_a_payload_of_20_kb() {
        let body = upload("\u{1}".repeat(100_000)).body(Timestamp::UNIX_EPOCH).unwrap();
        assert!(body.len() < 20_000, "{} bytes", body.len());
    }

    #[test]
    fn the_old_api_gets_its_own_callback() {
        let merchant = Merchant { name: "Netflix".into(), rule: None, score: None, category: None, wikidata_id: None };
        let event = Event::NormalizationCompleted(NormalizationCompleted { request_id: Uuid::nil(), merchant });
        let callback = event.callback().expect("there is one").unwrap();
        assert_eq!(callback, r#"{"merchant":{"name":"Netflix"},"request_id":"00000000-0000-0000-0000-000000000000"}"#);
        assert!(upload(String::new()).callback().is_none());
    }

    #[test]
    fn words_come_back() {
        for event in EventType::ALL {
            assert_eq!(<&str>::from(event).parse(), Ok(*event));
            assert_eq!(serde_json::to_value(event).unwrap(), <&str>::from(event));
        }
        assert!("bill.lost".parse::<EventType>().unwrap_err().to_string().contains("bill.paid"));
    }
}
