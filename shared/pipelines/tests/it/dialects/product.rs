//! The same three debts in every way to write them that is known.

use super::read::read;

const ENDS: [&str; 3] = ["\n", "\r\n", "\r"];
const DELIMITERS: [&str; 4] = [",", ";", "\t", "|"];
const HEADERS: [&str; 6] = ["plain", "quoted, with a byte order mark", "snake", "Portuguese", "preamble", "sep="];
/// Of each, how an amount of 1234.56, one of 10.50 and one of 7 are written.
const AMOUNTS: [[&str; 3]; 4] =
    [["1234.56", "10.50", "7"], ["1234,56", "10,50", "7"], ["1.234,56", "10,5", "7,00"], ["1234", "10", "7"]];
/// Of each, how 2030-12-31, 2030-02-05 and 2030-07-20 are.
const DATES: [[&str; 3]; 4] = [
    ["2030-12-31", "2030-02-05", "2030-07-20"],
    ["31/12/2030", "05/02/2030", "20/07/2030"],
    ["12/31/2030", "02/05/2030", "07/20/2030"],
    ["2030/12/31", "2030/02/05", "2030/07/20"],
];
const NAMES: [&str; 3] = ["José Conceição", "Ana Dias", "João “Jão” d’Ávila"];

fn file(delimiter: &str, amounts: &[&str; 3], dates: &[&str; 3], header: &str, end: &str) -> String {
    let join = |fields: &[&str]| {
        let quoted = fields.iter().map(|field| match field.contains(delimiter) {
            true => format!("\"{field}\""),
            false => (*field).to_owned(),
        });
        quoted.collect::<Vec<_>>().join(delimiter)
    };
    let columns = ["name", "governmentId", "email", "debtAmount", "debtDueDate", "debtId"];
    let mut lines = match header {
        "plain" => vec![join(&columns)],
        "snake" => vec![join(&["name", "government_id", "e-mail", "Debt Amount", "debt_due_date", "DEBT ID"])],
        "Portuguese" => vec![join(&["Nome", "CPF/CNPJ", "E-mail", "Valor", "Vencimento", "Código da Dívida"])],
        "preamble" => {
            let report = "Relatório de cobrança; emitido em 01/02/2026, às 10:00".to_owned();
            vec!["Banco Exemplo S.A.".to_owned(), report, String::new(), join(&columns)]
        }
        "sep=" => vec![format!("sep={delimiter}"), join(&columns)],
        _ => vec![columns.map(|column| format!("\"{column}\"")).join(delimiter)],
    };
    for n in 0..3 {
        let id = format!("00000000-0000-4000-8000-00000000000{n}");
        lines.push(join(&[NAMES[n], "12345678909", "jose@example.com", amounts[n], dates[n], &id]));
    }
    lines.join(end) + end
}

/// In each encoding, with its name.
fn written(text: &str, mark: bool) -> Vec<(&'static str, Vec<u8>)> {
    let marked = format!("\u{feff}{text}");
    let le = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let western = text.chars().map(|char| match char {
        '“' => 0x93,
        '”' => 0x94,
        '’' => 0x92,
        char => u8::try_from(char).unwrap(),
    });
    let with = vec![
        ("utf-8", marked.clone().into_bytes()),
        ("utf-16le", le(&marked)),
        ("utf-16be", be(&marked)),
        ("windows-1252", western.collect()),
    ];
    let without = vec![("utf-8", text.as_bytes().to_vec()), ("utf-16le", le(text)), ("utf-16be", be(text))];
    if mark { with } else { [with, without].concat() }
}

#[test]
fn every_way_to_write_a_file_is_the_same_file() {
    let mut files = 0;
    for (a, amounts) in AMOUNTS.iter().enumerate() {
        let plain = file(",", AMOUNTS.get(a / 3 * 3).unwrap(), &DATES[0], "plain", "\n");
        let plain = read("debts", plain.as_bytes(), &[], usize::MAX, 1 << 20).unwrap();
        let says = |rows: &[(u64, Vec<Option<Vec<u8>>>)]| rows.iter().map(|(_, says)| says.clone()).collect::<Vec<_>>();
        for (dates, header) in DATES.iter().flat_map(|dates| HEADERS.map(|header| (dates, header))) {
            for (delimiter, end) in DELIMITERS.iter().flat_map(|delimiter| ENDS.map(|end| (*delimiter, end))) {
                let text = file(delimiter, amounts, dates, header, end);
                for (encoding, bytes) in written(&text, header == HEADERS[1]) {
                    let what = format!("{encoding} {text:?}");
                    let whole =
                        read("debts", &bytes, &[], usize::MAX, 1 << 20).unwrap_or_else(|no| panic!("{what}: {no}"));
                    assert!(whole.told().starts_with(encoding), "{what}: {}", whole.told());
                    assert_eq!(says(&whole.rows), says(&plain.rows), "{what}");
                    let line = match header {
                        "preamble" => 5,
                        "sep=" => 3,
                        _ => 2,
                    };
                    assert_eq!(whole.rows[0].0, line, "{what}");
                    // Any of them, byte by byte.
                    if files % 29 == 0 {
                        assert_eq!(read("debts", &bytes, &[], 1, 1 << 20).as_ref(), Ok(&whole), "{what}");
                    }
                    files += 1;
                }
            }
        }
    }
    assert_eq!(files, 4 * 4 * 4 * 3 * (5 * 7 + 4));
}
