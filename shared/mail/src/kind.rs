use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// The word in the database and on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    other => Err(UnknownWord { found: other.to_owned(), allowed: &[$($word),+] }),
                }
            }
        }
    };
}

words! {
    /// What a mail is about.
    Kind {
        /// A new bill, to its payer.
        BillNew = "bill_new",
        /// A bill that is due soon, to its payer.
        BillReminder = "bill_reminder",
        /// A bill that was due, to its payer.
        BillOverdue = "bill_overdue",
        /// A payment has arrived, to the payer.
        PaymentReceipt = "payment_receipt",
        /// An upload is completed, to the client's operator.
        UploadCompleted = "upload_completed",
        /// An upload has failed, to the client's operator.
        UploadFailed = "upload_failed",
        /// A webhook's endpoint has failed for so long that it is disabled, to the client's operator.
        WebhookDisabled = "webhook_disabled",
    }
}

words! {
    /// Where a mail stands.
    State {
        /// Not sent yet, whatever holds it up; it will be tried again.
        Sending = "sending",
        /// The server has said that it has it; or it is kept, where there is no server.
        Sent = "sent",
        /// The server does not want it, or all attempts have failed.
        Failed = "failed",
        /// It was not sent, or was refused, because its address takes no mail.
        Suppressed = "suppressed",
    }
}

/// A word that is none of those allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is none of {}", allowed.join(", "))]
pub struct UnknownWord {
    found: String,
    allowed: &'static [&'static str],
}
