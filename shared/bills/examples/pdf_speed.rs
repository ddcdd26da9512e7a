//! How fast bills are made, on one core: `cargo run --release -p gristmill-bills --example pdf_speed`.
//! With a folder as argument it leaves one page a language there.

use std::{fs, hint::black_box, path::Path, time::Instant};

use gristmill_bills::{BillFacts, Language, Money, Party, Settings, pdf};
use jiff::civil::date;

const BARCODES: u64 = 5_000_000;
const CODES: u64 = 1_000_000;
const PAGES: u64 = 2_000;

fn main() {
    let settings: Settings = serde_json::from_str(SETTINGS).expect("right settings");
    let boleto = settings.boleto.as_ref().expect("a boleto");
    let pix = settings.pix.as_ref().expect("a PIX key");
    let due = date(2026, 12, 10);

    rate("barcode and linha digitável", BARCODES, |number| {
        let barcode = boleto.barcode(number, 781_150, due).expect("it fits");
        black_box((barcode, barcode.line()));
    });
    rate("PIX code", CODES, |number| drop(black_box(pix.code(Some(number), Some(781_150)).expect("it fits"))));
    rate("bill", CODES, |number| drop(black_box(settings.bill(facts(number)).expect("it fits"))));

    let branding = pdf::Branding::default();
    let mut bytes = 0;
    rate("page with boleto and PIX", PAGES, |number| {
        let bill = settings.bill(facts(number)).expect("it fits");
        bytes += pdf::render(&bill, &branding, Language::Portuguese).expect("a page").len();
    });
    println!("{:30} {:10} bytes a page", "", bytes / PAGES as usize);

    if let Some(folder) = std::env::args().nth(1) {
        let bill = settings.bill(facts(1)).expect("it fits");
        for language in Language::ALL {
            let page = pdf::render(&bill, &branding, language).expect("a page");
            fs::write(Path::new(&folder).join(format!("{language}.pdf")), page).expect("a folder to write to");
        }
    }
}

fn rate(what: &str, count: u64, mut one: impl FnMut(u64)) {
    let start = Instant::now();
    (0..count).for_each(&mut one);
    println!("{what:30} {:10.0} a second", count as f64 / start.elapsed().as_secs_f64());
}

/// Of a payer, an amount and a reference that others share with few: no page is made of what was made for the one before.
fn facts(number: u64) -> BillFacts {
    let pick = |words: &[&'static str], salt: u64| words[(number.wrapping_mul(salt) >> 32) as usize % words.len()];
    let (first, last) = (pick(&FIRST_NAMES, 0x9e37_79b9_7f4a_7c15), pick(&LAST_NAMES, 0xc2b2_ae3d_27d4_eb4f));
    BillFacts {
        number,
        payer: Party {
            name: format!("{first} {last}"),
            document: Some("52998224725".to_owned()),
            email: Some(format!("payer.{number}@example.com")),
            address: Vec::new(),
        },
        amount: Money::brl(1_000 + (number * 7_919 % 1_000_000) as i64),
        paid_minor: 0,
        cancelled: false,
        overdue: false,
        issued_on: date(2026, 11, 20),
        due_on: date(2026, 12, 10),
        reference: Some(format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
        description: None,
    }
}

const FIRST_NAMES: [&str; 16] = [
    "João",
    "Maria",
    "José",
    "Ana Lúcia",
    "Antônio",
    "Francisca",
    "Luís",
    "Ângela",
    "Wellington",
    "Yasmin",
    "Kauã",
    "Zélia",
    "Heloísa",
    "Washington",
    "Inês",
    "Gabriel",
];
const LAST_NAMES: [&str; 16] = [
    "Conceição da Silva",
    "dos Santos",
    "de Oliveira",
    "Souza",
    "Rodrigues",
    "Ferreira Gonçalves",
    "Araújo",
    "Guimarães",
    "Yamamoto",
    "Kowalski",
    "Xavier",
    "Queiroz",
    "Müller",
    "Pinheiro",
    "Vasconcelos",
    "Brandão",
];

const SETTINGS: &str = r#"{
    "beneficiary": { "name": "Águas do Açaí S.A.", "document": "11222333000181", "email": "cobranca@aguas.example" },
    "boleto": { "bank": "237", "bank_name": "Bradesco", "agency": "0448", "account": "110580", "wallet": "05" },
    "pix": { "key": "cobranca@aguas.example", "name": "Águas do Açaí S.A.", "city": "São Paulo" }
}"#;
