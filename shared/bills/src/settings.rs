//! How a client is paid.

use serde::{Deserialize, Serialize};

use crate::{
    Bill, BillFacts, Party,
    rails::{Boleto, Epc, Payment, Pix, Rail, RailError},
};

/// How a client is paid: kept as JSON, checked when it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The client as its payers know it.
    pub beneficiary: Party,
    /// A bank account with a wallet for boletos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boleto: Option<Boleto>,
    /// A PIX key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pix: Option<Pix>,
    /// An account in the SEPA area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epc: Option<Epc>,
}

impl Settings {
    /// All rails that are set, in the order in which a page shows them.
    pub fn rails(&self) -> impl Iterator<Item = &dyn Rail> {
        let boleto = self.boleto.as_ref().map(|rail| rail as &dyn Rail);
        let pix = self.pix.as_ref().map(|rail| rail as &dyn Rail);
        let epc = self.epc.as_ref().map(|rail| rail as &dyn Rail);
        [pix, epc, boleto].into_iter().flatten()
    }

    /// The ways to pay a bill, by the rails that can carry it: its currency, its amount, its due date, its number. None
    /// where no rails are set at all, or nothing is to be paid any more.
    ///
    /// # Errors
    /// When rails are set and none can carry it: why the first one cannot that is in its currency.
    pub fn payments(&self, facts: &BillFacts) -> Result<Vec<Payment>, RailError> {
        let currency = facts.amount.currency;
        if facts.is_over() {
            return Ok(Vec::new());
        }
        let tried = self.rails().filter(|rail| rail.currency() == currency).map(|rail| rail.payload(facts));
        let (mut ways, mut refused) = (Vec::new(), None);
        for way in tried {
            match way {
                Ok(way) => ways.push(way),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            _ if !ways.is_empty() || self.rails().next().is_none() => Ok(ways),
            Some(error) => Err(error),
            None => Err(RailError::NoneIn(currency)),
        }
    }

    /// Whether there is a way to pay a bill, or nothing to be paid; without making the codes where that is not needed.
    pub fn carry(&self, facts: &BillFacts) -> bool {
        let currency = facts.amount.currency;
        facts.is_over() || self.rails().any(|rail| rail.currency() == currency && rail.carries(facts))
    }

    /// The whole bill.
    ///
    /// # Errors
    /// Those of [`Settings::payments`].
    pub fn bill(&self, facts: BillFacts) -> Result<Bill, RailError> {
        Ok(Bill { payments: self.payments(&facts)?, beneficiary: self.beneficiary.clone(), facts })
    }
}
