use std::{fmt, str::FromStr};

use gristmill_core::ClientId;
use uuid::{Builder, Uuid};

/// A bill's id: its client and its number, written as a UUID of version 8 (RFC 9562, section 5.8), so that it needs no
/// column and no index of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BillId {
    /// Whose bill it is.
    pub client_id: ClientId,
    /// Which of its bills.
    pub number: i64,
}

/// Not a bill's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a bill")]
pub struct NoBillId;

/// Numbers have as many bits as a UUID's last part leaves: 62.
const NUMBER: u128 = (1 << 62) - 1;

impl BillId {
    /// As it is written.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        let client = u128::from(self.client_id.get().cast_unsigned()) << 96;
        let number = u128::from(self.number.cast_unsigned()) & NUMBER;
        Builder::from_custom_bytes((client | number).to_be_bytes()).into_uuid()
    }
}

impl TryFrom<Uuid> for BillId {
    type Error = NoBillId;

    fn try_from(id: Uuid) -> Result<Self, NoBillId> {
        let bits = id.as_u128();
        let bill = Self {
            client_id: ((bits >> 96) as u32).cast_signed().into(),
            number: ((bits & NUMBER) as u64).cast_signed(),
        };
        if bill.uuid() == id { Ok(bill) } else { Err(NoBillId) }
    }
}

impl FromStr for BillId {
    type Err = NoBillId;

    fn from_str(text: &str) -> Result<Self, NoBillId> {
        text.parse::<Uuid>().map_err(|_| NoBillId)?.try_into()
    }
}

impl fmt::Display for BillId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_as_it_went() {
        for (client_id, number) in [(1, 1), (i32::MAX, i64::MAX >> 1), (7, 1_100_000)] {
            let id = BillId { client_id: client_id.into(), number };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!(Uuid::now_v7().to_string().parse::<BillId>(), Err(NoBillId));
        assert_eq!("7".parse::<BillId>(), Err(NoBillId));
    }
}
