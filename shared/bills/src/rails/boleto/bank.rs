//! What the largest banks want in the free field, with their own check digits.

use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::{barcode::write, check};
use crate::rails::{SettingsError, error::just_digits};

/// The banks whose free field is known, by code and name.
pub const SUPPORTED: [(&str, &str); 7] = [
    ("001", "Banco do Brasil"),
    ("033", "Santander"),
    ("104", "Caixa"),
    ("237", "Bradesco"),
    ("341", "Itaú"),
    ("748", "Sicredi"),
    ("756", "Sicoob"),
];

/// Wallets of Itaú whose boletos are laid out otherwise, or whose first check digit does without agency and account.
const ITAU_OTHERWISE: [&str; 13] =
    ["106", "107", "122", "126", "131", "142", "143", "146", "150", "168", "195", "196", "198"];
/// Sicredi: years have so many numbers of each of the bytes 2 to 9, by which a beneficiary tells its own from the bank's.
const SICREDI_NUMBERS_PER_BYTE: u64 = 100_000;

/// A bank's way, with a client's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    bank: Bank,
    agency: String,
    account: String,
    wallet: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bank {
    Brasil,
    Santander,
    Caixa,
    Bradesco,
    Itau,
    Sicredi,
    Sicoob,
}

/// How many digits agency, account, wallet and our number have.
struct Lengths {
    agency: RangeInclusive<usize>,
    account: RangeInclusive<usize>,
    wallet: RangeInclusive<usize>,
    number: usize,
}

impl Bank {
    fn of(code: &str) -> Option<Self> {
        Some(match code {
            "001" => Self::Brasil,
            "033" => Self::Santander,
            "104" => Self::Caixa,
            "237" => Self::Bradesco,
            "341" => Self::Itau,
            "748" => Self::Sicredi,
            "756" => Self::Sicoob,
            _ => return None,
        })
    }

    fn lengths(self) -> Lengths {
        let (agency, account, wallet, number) = match self {
            Self::Brasil => (1..=4, 1..=7, 2..=2, 10),
            Self::Santander => (1..=4, 1..=7, 3..=3, 12),
            Self::Caixa => (1..=4, 1..=6, 2..=2, 15),
            Self::Bradesco => (1..=4, 1..=7, 1..=2, 11),
            Self::Itau => (1..=4, 1..=5, 3..=3, 8),
            Self::Sicredi => (6..=6, 1..=5, 2..=2, 6),
            Self::Sicoob => (1..=4, 1..=7, 1..=1, 7),
        };
        Lengths { agency, account, wallet, number }
    }
}

impl Account {
    /// `None`: how this bank lays it out is not known.
    pub(super) fn new(code: &str, agency: &str, account: &str, wallet: &str) -> Option<Result<Self, SettingsError>> {
        let bank = Bank::of(code)?;
        Some(Self::of(bank, agency, account, wallet))
    }

    fn of(bank: Bank, agency: &str, account: &str, wallet: &str) -> Result<Self, SettingsError> {
        let lengths = bank.lengths();
        let padded = |field, value: &str, allowed: RangeInclusive<usize>| {
            just_digits(field, value, *allowed.start(), *allowed.end())?;
            Ok::<_, SettingsError>(format!("{value:0>width$}", width = *allowed.end()))
        };
        if bank == Bank::Itau && ITAU_OTHERWISE.contains(&wallet) {
            return Err(SettingsError::Text { field: "wallet", value: wallet.to_owned() });
        }
        Ok(Self {
            bank,
            agency: padded("agency", agency, lengths.agency)?,
            account: padded("account", account, lengths.account)?,
            wallet: padded("wallet", wallet, lengths.wallet)?,
        })
    }

    /// Digits of "our number".
    pub(super) fn number_digits(&self) -> usize {
        self.bank.lengths().number
    }

    /// The free field, and "our number" as the slip shows it; `None` when the number has more digits than there is room for.
    pub(super) fn with(&self, number: u64, issued_on: Date) -> Option<([u8; 25], String)> {
        let Self { bank, agency, account, wallet } = self;
        if number >= 10_u64.pow(u32::try_from(self.number_digits()).ok()?) {
            return None;
        }
        let number = match bank {
            // The bytes 0 and 1 are the bank's own.
            Bank::Sicredi => number
                .checked_add(2 * SICREDI_NUMBERS_PER_BYTE)
                .filter(|number| *number < 10 * SICREDI_NUMBERS_PER_BYTE)?,
            _ => number,
        };
        let mut digits = vec![b'0'; self.number_digits()];
        write(&mut digits, number);
        let number = String::from_utf8(digits).ok()?;
        let (field, shown) = match bank {
            Bank::Brasil => (format!("000000{account}{number}{wallet}"), format!("{account}{number}")),
            Bank::Bradesco => (format!("{agency}{wallet}{number}{account}0"), number.clone()),
            Bank::Santander => {
                let check = eleven(&number);
                (format!("9{account}{number}{check}0{wallet}"), format!("{number}-{check}"))
            }
            Bank::Caixa => {
                let ours = format!("{wallet}{number}");
                let (kind, issuer) = wallet.split_at(1);
                let (first, second, third) = (&number[..3], &number[3..6], &number[6..]);
                let field = format!("{account}{}{first}{kind}{second}{issuer}{third}", eleven(account));
                let check = eleven(&field);
                (field + &check, format!("{ours}-{}", eleven(&ours)))
            }
            Bank::Itau => {
                let (check, end) =
                    (ten(&format!("{agency}{account}{wallet}{number}")), ten(&format!("{agency}{account}")));
                (format!("{wallet}{number}{check}{agency}{account}{end}000"), format!("{wallet}/{number}-{check}"))
            }
            Bank::Sicredi => {
                let year = format!("{:02}", issued_on.year().rem_euclid(100));
                let check = eleven(&format!("{agency}{account}{year}{number}"));
                let field = format!("{wallet}{year}{number}{check}{agency}{account}10");
                let end = eleven(&field);
                (field + &end, format!("{year}/{number}-{check}"))
            }
            Bank::Sicoob => {
                let check = sicoob(&format!("{agency}{account:0>10}{number}"));
                (format!("{wallet}{agency}01{account}{number}{check}001"), format!("{number}-{check}"))
            }
        };
        Some((field.as_bytes().try_into().ok()?, shown))
    }
}

/// Modulo 10, as in the line of digits.
fn ten(digits: &str) -> String {
    char::from(check::mod10(digits.as_bytes())).to_string()
}

/// Modulo 11 with the weights 2 to 9 from the right; 10 and 11 are written 0.
fn eleven(digits: &str) -> String {
    let sum: u32 =
        digits.bytes().rev().zip((2..=9).cycle()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    rest(sum)
}

/// Modulo 11 with the weights 3, 1, 9, 7 from the left.
fn sicoob(digits: &str) -> String {
    let weights = [3, 1, 9, 7].into_iter().cycle();
    rest(digits.bytes().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum())
}

fn rest(sum: u32) -> String {
    match 11 - sum % 11 {
        10 | 11 => "0".to_owned(),
        check => check.to_string(),
    }
}
