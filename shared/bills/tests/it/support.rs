//! A client and its bills.

use gristmill_bills::{BillFacts, Money, Party, Settings};
use jiff::civil::{Date, date};

/// Of the example that the format's descriptions share.
pub(crate) const BARCODE: &str = "23797404300001240200448056168623793601105800";
pub(crate) const LINE: &str = "23790448095616862379336011058009740430000124020";
pub(crate) const DUE: Date = date(2008, 11, 1);
pub(crate) const NUMBER: u64 = 61_686_237_936;

/// Paid by every rail.
pub(crate) fn settings() -> Settings {
    serde_json::from_value(serde_json::json!({
        "beneficiary": {
            "name": "Águas do Açaí S.A.",
            "document": "11222333000181",
            "email": "cobranca@aguas.example",
            "address": ["Avenida Paulista, 1578, 12º andar", "01310-200 São Paulo, SP"],
        },
        "boleto": { "bank": "237", "bank_name": "Bradesco", "agency": "0448", "account": "110580", "wallet": "05" },
        "pix": { "key": "cobranca@aguas.example", "name": "Águas do Açaí S.A.", "city": "São Paulo" },
        "epc": { "iban": "DE89 3704 0044 0532 0130 00", "name": "Águas do Açaí S.A.", "bic": "COBADEFFXXX" },
    }))
    .unwrap()
}

/// The bill of the example.
pub(crate) fn facts() -> BillFacts {
    BillFacts {
        number: NUMBER,
        payer: Party {
            name: "João Conceição da Silva".to_owned(),
            document: Some("52998224725".to_owned()),
            email: Some("joao@example.com".to_owned()),
            address: vec!["Rua das Laranjeiras, 40, ap. 302".to_owned(), "22240-003 Rio de Janeiro, RJ".to_owned()],
        },
        amount: Money::brl(124_020),
        paid_minor: 0,
        cancelled: false,
        overdue: false,
        issued_on: date(2008, 10, 15),
        due_on: DUE,
        reference: Some("1adb6ccf-ff16-467f-bea7-5f05d494280f".to_owned()),
        description: Some("Fornecimento de água, outubro de 2008".to_owned()),
    }
}
