//! The cases: bytes in, outcome or sentence out.

/// A file.
pub(super) struct Case {
    /// What it shows.
    pub(super) id: &'static str,
    pub(super) kind: &'static str,
    /// Parameters that were sent with it.
    pub(super) said: &'static [(&'static str, &'static str)],
    pub(super) bytes: fn() -> Vec<u8>,
    pub(super) outcome: Outcome,
}

/// What becomes of it.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    /// It is read so.
    Reads(&'static str),
    /// It is refused with this sentence, or asked.
    Stops(&'static str),
}

use Outcome::{Reads, Stops};

type Says = &'static [(&'static str, &'static str)];

const fn debts(id: &'static str, bytes: fn() -> Vec<u8>, outcome: Outcome) -> Case {
    said(id, &[], bytes, outcome)
}

const fn said(id: &'static str, said: Says, bytes: fn() -> Vec<u8>, outcome: Outcome) -> Case {
    Case { id, kind: "debts", said, bytes, outcome }
}

const HEADER: &str = "name,governmentId,email,debtAmount,debtDueDate,debtId";

fn row(n: usize, name: &str, amount: &str, date: &str) -> String {
    let amount = if amount.contains(',') { format!("\"{amount}\"") } else { amount.to_owned() };
    format!("{name},12345678909,jose@example.com,{amount},{date},00000000-0000-4000-8000-{n:012}\n")
}

/// Rows with these names.
fn named(names: &[&str]) -> String {
    let rows = names.iter().enumerate().map(|(n, name)| row(n, name, "10.50", "2030-01-31"));
    format!("{HEADER}\n{}", rows.collect::<String>())
}

/// Rows with these amounts.
fn amounts(amounts: &[&str]) -> Vec<u8> {
    let rows = amounts.iter().enumerate().map(|(n, amount)| row(n, "Ana Dias", amount, "2030-01-31"));
    format!("{HEADER}\n{}", rows.collect::<String>()).into_bytes()
}

/// Rows with these dates.
fn dates(dates: &[&str]) -> Vec<u8> {
    let rows = dates.iter().enumerate().map(|(n, date)| row(n, "Ana Dias", "10.50", date));
    format!("{HEADER}\n{}", rows.collect::<String>()).into_bytes()
}

fn plain() -> String {
    named(&["José Conceição", "Ana Dias"])
}

fn headed(header: &str) -> Vec<u8> {
    plain().replace(HEADER, header).into_bytes()
}

fn latin(text: &str) -> Vec<u8> {
    let byte = |char| match char {
        '€' => 0x80,
        '“' => 0x93,
        '”' => 0x94,
        '’' => 0x92,
        '–' => 0x96,
        char => u8::try_from(char).unwrap(),
    };
    text.chars().map(byte).collect()
}

/// The letters beyond ASCII as these bytes.
fn other(text: &str, letters: &[(char, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for char in text.chars() {
        match letters.iter().find(|(letter, _)| *letter == char) {
            Some((_, letter)) => bytes.extend_from_slice(letter),
            None => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn claims(date: &str, fees: &str) -> Vec<u8> {
    let header = "service date,submitted procedure,quadrant,Plan/Group #,Subscriber#,Provider NPI,provider fees,Allowed \
                  fees,member coinsurance,member copay";
    let row = format!("{date},D0180,,GRP-1000,3730180000,1497775530,\"{fees}\",1,1,0\n");
    format!("{header}\n{row}{row}").into_bytes()
}

/// Objects of JSON.
fn objects(count: usize) -> Vec<String> {
    let object = |n: usize| {
        format!(
            "{{\"name\": \"José\", \"governmentId\": 1, \"email\": \"a@b.c\", \"debtAmount\": \"1.234,56\", \"debtDueDate\": \
             \"31/12/2030\", \"debtId\": \"00000000-0000-4000-8000-{n:012}\"}}"
        )
    };
    (0..count).map(object).collect()
}

/// With a line end behind each brace and comma.
fn pretty(json: &str) -> String {
    json.replace('{', "{\r\n  ").replace(", ", ",\r\n  ").replace('}', "\r\n}")
}

pub(super) const CASES: &[Case] = &[
    debts("P1 plain", || plain().into_bytes(), Reads("utf-8, comma: 2 rows")),
    debts("P2 ASCII", || named(&["Ana"]).into_bytes(), Reads("utf-8, comma: 1 row")),
    debts("P3 nothing but a header", || HEADER.into(), Reads("utf-8, comma: 0 rows")),
    debts("D1 semicolons", || plain().replace(',', ";").into_bytes(), Reads("utf-8, semicolon: 2 rows")),
    debts("D1 tabs", || plain().replace(',', "\t").into_bytes(), Reads("utf-8, tab: 2 rows")),
    debts("D1 pipes", || plain().replace(',', "|").into_bytes(), Reads("utf-8, pipe: 2 rows")),
    debts(
        "D2 as Excel saves in Brazil",
        || {
            let file = plain().replace(',', ";").replace("10.50", "1.234,56").replace("2030-01-31", "31/01/2030");
            latin(&file.replace('\n', "\r\n"))
        },
        Reads("windows-1252, semicolon, decimal comma, dates dmy: 2 rows"),
    ),
    debts(
        "D3 a header with semicolons, rows with commas",
        || plain().replace(HEADER, &HEADER.replace(',', ";")).into_bytes(),
        Stops(
            "The header is separated by ';' and the rows by ',': line 2 has 1 field where the header has 6. Write both \
             alike, or send delimiter= and header_line=.",
        ),
    ),
    debts(
        "D4 a header in two ways",
        || headed(&format!("{HEADER},x;{}", HEADER.replace(',', ";"))),
        Stops("The header can be read with ',' and with ';': send delimiter=comma or delimiter=semicolon."),
    ),
    debts(
        "D5 semicolons inside of fields",
        || named(&["José; João", "a;b;c;d;e;f"]).into_bytes(),
        Reads("utf-8, comma: 2 rows"),
    ),
    debts(
        "D6 sep=",
        || format!("sep=;\r\n{}", plain().replace(',', ";")).into_bytes(),
        Reads("utf-8, semicolon, header on line 2, sep=: 2 rows"),
    ),
    debts(
        "D6 sep= with a tab, in quotes",
        || format!("\"sep=\t\"\n{}", plain().replace(',', "\t")).into_bytes(),
        Reads("utf-8, tab, header on line 2, sep=: 2 rows"),
    ),
    debts(
        "D7 sep= that is wrong",
        || format!("sep=,\n{}", plain().replace(',', ";")).into_bytes(),
        Stops("Line 1 says sep=, and the header is separated by ';': remove line 1, or send delimiter=."),
    ),
    said(
        "D8 a delimiter said that is wrong",
        &[("delimiter", "semicolon")],
        || plain().into_bytes(),
        Stops(
            "you said delimiter=semicolon; with commas line 1 is the header. A header names the columns name, \
             governmentId, email, debtAmount, debtDueDate, debtId, each once, in any order and capitalisation; further \
             columns are ignored.",
        ),
    ),
    debts(
        "D9 one name",
        || b"name\nAna\n".to_vec(),
        Stops(
            "the header lacks governmentId, email, debtAmount, debtDueDate, debtId; it has: name. A header names the \
             columns name, governmentId, email, debtAmount, debtDueDate, debtId, each once, in any order and \
             capitalisation; further columns are ignored.",
        ),
    ),
    debts(
        "H1 a bank's preamble",
        || format!("Banco Exemplo S.A.\nRelatório de cobrança;emitido 01/02/2026\n\n{}", plain()).into_bytes(),
        Reads("utf-8, comma, header on line 4: 2 rows"),
    ),
    debts(
        "H1 a preamble with a quote that is never closed",
        || format!("\"Banco Exemplo\nCobrança\n{}", plain()).into_bytes(),
        Reads("utf-8, comma, header on line 3: 2 rows"),
    ),
    debts(
        "H1 31 lines of it",
        || ("x\n".repeat(31) + &plain()).into_bytes(),
        Stops(
            "None of the first 30 lines names the columns name, governmentId, email, debtAmount, debtDueDate, debtId: send \
             header_line=.",
        ),
    ),
    said(
        "H1 31 lines of it, and the line said",
        &[("header_line", "32")],
        || ("x\n".repeat(31) + &plain()).into_bytes(),
        Reads("utf-8, comma, header on line 32: 2 rows"),
    ),
    debts(
        "H2 the header again",
        || (plain() + HEADER + "\n").into_bytes(),
        Reads("utf-8, comma: 2 rows, header_again on line 4"),
    ),
    debts(
        "H3 snake",
        || headed("name,government_id,E-Mail,debt_amount,DEBT-DUE-DATE,debt id"),
        Reads("utf-8, comma: 2 rows"),
    ),
    debts("H3 Portuguese", || headed("nome,cpf,email,valor,vencimento,id"), Reads("utf-8, comma: 2 rows")),
    debts(
        "H3 characters without width",
        || headed("\u{200b}name,governmentId,email\u{a0},debtAmount,debtDueDate,debtId\u{200e}"),
        Reads("utf-8, comma: 2 rows"),
    ),
    debts(
        "H3 a near miss",
        || headed("nome,cpf,email,VALOR (R$),vencimento,id"),
        Stops(
            "the header lacks debtAmount; it has: nome, cpf, email, VALOR (R$), vencimento, id. Did you mean VALOR (R$) for \
             debtAmount? Send columns=debtAmount:VALOR (R$). A header names the columns name, governmentId, email, \
             debtAmount, debtDueDate, debtId, each once, in any order and capitalisation; further columns are ignored.",
        ),
    ),
    said(
        "H3 columns said",
        &[("columns", "debtAmount:VALOR (R$),debtId:#6")],
        || headed("nome,cpf,email,VALOR (R$),vencimento,chave"),
        Reads("utf-8, comma: 2 rows"),
    ),
    debts(
        "H4 two words for one column",
        || headed("nome,cpf,email,valor,montante,vencimento,id"),
        Stops(
            "valor and montante may both be debtAmount: send columns=debtAmount:valor or columns=debtAmount:montante.",
        ),
    ),
    debts(
        "H5 a header over two lines",
        || headed("name,governmentId,email,\"debt\nAmount\",debtDueDate,debtId"),
        Reads("utf-8, comma: 2 rows"),
    ),
    said(
        "H6 a line said that is no header",
        &[("header_line", "3")],
        || plain().into_bytes(),
        Stops(
            "the header on line 3 lacks name, governmentId, email, debtAmount, debtDueDate, debtId; it has: Ana Dias, \
             12345678909, jose@example.com, 10.50, 2030-01-31, 00000000-0000-4000-8000-000000000001. A header names the \
             columns name, governmentId, email, debtAmount, debtDueDate, debtId, each once, in any order and \
             capitalisation; further columns are ignored.",
        ),
    ),
    debts(
        "H7 no header",
        || row(0, "Ana", "10", "2030-01-31").into_bytes(),
        Stops(
            "the header lacks name, governmentId, email, debtAmount, debtDueDate, debtId; it has: Ana, 12345678909, \
             jose@example.com, 10, 2030-01-31, 00000000-0000-4000-8000-000000000000. A header names the columns name, \
             governmentId, email, debtAmount, debtDueDate, debtId, each once, in any order and capitalisation; further \
             columns are ignored.",
        ),
    ),
    debts("H8 nothing", || b"\xef\xbb\xbf\r\n".to_vec(), Stops("the file is empty: send the header and the records")),
    debts("E1 Windows-1252", || latin(&plain()), Reads("windows-1252, comma: 2 rows")),
    said(
        "E1 Windows-1252, and said",
        &[("content-type", "iso-8859-1")],
        || latin(&plain()),
        Reads("windows-1252, comma: 2 rows"),
    ),
    debts(
        "E2 its signs",
        || latin(&named(&["José “Zé” d’Ávila – 5 €", "Nº 1", "1ª parcela"])),
        Reads("windows-1252, comma: 3 rows"),
    ),
    debts("E3 UTF-16", || utf16(&plain()), Reads("utf-16le, comma: 2 rows")),
    debts(
        "E3 UTF-16 with a mark, and a header with an accent",
        || {
            utf16(&format!(
                "\u{feff}{}",
                plain().replace("name", "número,name").replace("\nJosé", "\n1,José").replace("\nAna", "\n2,Ana")
            ))
        },
        Reads("utf-16le, comma: 2 rows"),
    ),
    debts(
        "E4 UTF-16 with half a pair",
        || {
            let mut file = utf16(&named(&["José"]));
            file.extend(0xd800_u16.to_le_bytes());
            file.extend(utf16(&row(1, "Ana", "1", "2030-01-31")));
            file.extend(utf16(&row(2, "Ana", "1", "2030-01-31")));
            file.push(b'x');
            file
        },
        Reads("utf-16le, comma: 2 rows, not_utf8 on line 3, too_few_columns on line 5"),
    ),
    debts(
        "E5 a Mac's",
        || other(&named(&["José"]), &[('é', b"\x8e")]),
        Stops(
            "The letters beyond ASCII are neither UTF-8 nor Windows-1252: byte 0x8E on line 2 stands between letters. Send \
             encoding= with its name (macintosh, ibm850, windows-1250, …), or save it as UTF-8.",
        ),
    ),
    debts(
        "E5 DOS",
        || other(&plain(), &[('é', b"\x82"), ('ç', b"\x87"), ('ã', b"\xc6")]),
        Stops(
            "The letters beyond ASCII are neither UTF-8 nor Windows-1252: byte 0x82 on line 2 stands between letters. Send \
             encoding= with its name (macintosh, ibm850, windows-1250, …), or save it as UTF-8.",
        ),
    ),
    said(
        "E5 DOS, and said",
        &[("encoding", "cp850")],
        || other(&plain(), &[('é', b"\x82"), ('ç', b"\x87"), ('ã', b"\xc6")]),
        Reads("ibm850, comma: 2 rows"),
    ),
    debts(
        "E6 Cyrillic",
        || other(&named(&["ПЕТР"]), &[('П', b"\xcf"), ('Е', b"\xc5"), ('Т', b"\xd2"), ('Р', b"\xd0")]),
        Stops(
            "The letters beyond ASCII are neither UTF-8 nor Windows-1252: byte 0xCF on line 2 stands between letters. Send \
             encoding= with its name (macintosh, ibm850, windows-1250, …), or save it as UTF-8.",
        ),
    ),
    debts(
        "E7 two files in one",
        || {
            let rows = latin(&format!("{}{}", row(5, "José", "1", "2030-01-31"), row(6, "João", "1", "2030-01-31")));
            [named(&["José", "Ana", "Ana"]).as_bytes(), &rows].concat()
        },
        Stops(
            "The file has two encodings: line 2 is UTF-8 and line 5 is Windows-1252 (byte 0xE9). Save it as one, or send \
             encoding=.",
        ),
    ),
    debts(
        "E8 one damaged line of many",
        || [named(&["José"; 199]).as_bytes(), &latin(&row(200, "João", "1", "2030-01-31"))].concat(),
        Reads("utf-8, comma: 199 rows, not_utf8 on line 201"),
    ),
    said(
        "E9 UTF-8 said, and it is not",
        &[("content-type", "utf-8")],
        || latin(&plain()),
        Stops("Content-Type says utf-8, but byte 0xE9 on line 2 is not: send the right charset, or none."),
    ),
    debts("E11 encoded twice", || named(&["JosÃ©"]).into_bytes(), Reads("utf-8, comma: 1 row")),
    debts(
        "E12 a letter behind five megabytes of ASCII",
        || {
            let blank = format!("{}\n", " ".repeat(1023)).repeat(5 << 10);
            [HEADER.as_bytes(), b"\n", blank.as_bytes(), &latin(&row(1, "José", "1", "2030-01-31"))].concat()
        },
        Reads("windows-1252, comma: 1 row"),
    ),
    debts(
        "V1 amounts with three digits behind a point",
        || amounts(&["1.234", "1.234"]),
        Stops(
            "debtAmount is 1.234 on line 2: one thousand two hundred and thirty-four, or 1 and 234 thousandths? In no row is \
             it clear. Send decimal=comma (1234.00) or decimal=point.",
        ),
    ),
    debts(
        "V1 amounts with three digits behind a comma",
        || amounts(&["1,234", "1,234"]),
        Stops(
            "debtAmount is 1,234 on line 2: one thousand two hundred and thirty-four, or 1 and 234 thousandths? In no row is \
             it clear. Send decimal=point (1234.00) or decimal=comma.",
        ),
    ),
    said(
        "V1 answered",
        &[("decimal", "comma")],
        || amounts(&["1.234", "1.234"]),
        Reads("utf-8, comma, decimal comma: 2 rows"),
    ),
    debts("V2 one is clear", || amounts(&["1.234", "10,50"]), Reads("utf-8, comma, decimal comma: 2 rows")),
    debts(
        "V3 two ways, and all are clear",
        || amounts(&["10.50", "10,50", "10,51"]),
        Reads("utf-8, comma, decimal comma: 2 rows, bad_amount on line 2"),
    ),
    debts(
        "V4 two ways, and one is not clear",
        || amounts(&["10.50", "10,50", "1.234"]),
        Stops(
            "Amounts are written in two ways: 10.50 on line 2 and 10,50 on line 3, so 1.234 on line 4 has two meanings. Send \
             decimal=comma or decimal=point.",
        ),
    ),
    debts(
        "V4 three decimals, and nothing else has them",
        || amounts(&["10.50", "10.51", "1.500"]),
        Reads("utf-8, comma, decimal point: 2 rows, bad_amount on line 4"),
    ),
    said(
        "V4 three decimals, with an answer",
        &[("decimal", "point")],
        || amounts(&["10.50", "10.51", "1.500"]),
        Reads("utf-8, comma, decimal point: 3 rows"),
    ),
    debts(
        "V4 three decimals, as others have them",
        || amounts(&["0.500", "1.500"]),
        Reads("utf-8, comma, decimal point: 2 rows"),
    ),
    said(
        "V5 two ways, with an answer",
        &[("decimal", "point")],
        || amounts(&["10.50", "10,50", "1.234", "1,234.56", "R$ 10.00"]),
        Reads("utf-8, comma, decimal point: 3 rows, bad_amount on line 3, bad_amount on line 4"),
    ),
    debts(
        "V6 currencies and blanks",
        || amounts(&["R$ 1.234,56", "1\u{a0}234,56", "5,00 €"]),
        Reads("utf-8, comma, decimal comma: 3 rows"),
    ),
    Case {
        id: "V6 what is negative",
        kind: "transactions",
        said: &[],
        bytes: || b"date;description;amount\n2030-01-31;x;(5,00)\n2030-01-31;x;-R$ 1.234,56\n".to_vec(),
        outcome: Reads("utf-8, semicolon, decimal comma: 2 rows"),
    },
    debts(
        "V7 no amounts",
        || amounts(&["1,23,456.00", "1.23.4", "1,2,3", "12.34,5.6", "10.50"]),
        Reads(
            "utf-8, comma: 1 row, bad_amount on line 2, bad_amount on line 3, bad_amount on line 4, bad_amount on line 5",
        ),
    ),
    debts(
        "V8 nor these",
        || amounts(&["1e3", "\u{661}\u{660}", "\u{ff11}\u{ff10}", "#REF!", "10%"]),
        Reads(
            "utf-8, comma: 0 rows, bad_amount on line 2, bad_amount on line 3, bad_amount on line 4, bad_amount on line 5, \
             bad_amount on line 6",
        ),
    ),
    debts(
        "V9 numbers of JSON beside texts",
        || {
            let line = |amount: &str, n: usize| {
                format!(
                    "{{\"name\":\"Ana\",\"governmentId\":\"1\",\"email\":\"a@b.c\",\"debtAmount\":{amount},\"debtDueDate\":\
                     \"31/12/2030\",\"debtId\":\"00000000-0000-4000-8000-{n:012}\"}}\n"
                )
            };
            [line("1.000", 1), line("\"1.234,56\"", 2)].concat().into_bytes()
        },
        Reads("utf-8, lines of JSON, decimal comma, dates dmy: 2 rows"),
    ),
    Case {
        id: "V10 claims with a comma in a wrong place",
        kind: "claims",
        said: &[],
        bytes: || {
            [claims("3/28/18 0:00", "1,200"), b"3/28/18,D0180,,G,1,1497775530,\"10,50\",1,1,0\n".to_vec()].concat()
        },
        outcome: Reads("utf-8, comma: 2 rows, bad_amount on line 4"),
    },
    Case {
        id: "V11 claims part thousands by commas",
        kind: "claims",
        said: &[],
        bytes: || claims("3/28/18 0:00", "1,000"),
        outcome: Reads("utf-8, comma: 2 rows"),
    },
    debts("T1 days first", || dates(&["01/02/2030", "31/12/2030"]), Reads("utf-8, comma, dates dmy: 2 rows")),
    debts("T2 months first", || dates(&["01/02/2030", "12/31/2030"]), Reads("utf-8, comma, dates mdy: 2 rows")),
    debts(
        "T3 dates that are not clear",
        || dates(&["01/02/2024", "01/02/2024"]),
        Stops(
            "debtDueDate is 01/02/2024 on line 2: 1 February or 2 January? In no row is it clear. Send dates=dmy or dates=mdy.",
        ),
    ),
    debts(
        "T4 two orders",
        || dates(&["31/12/2024", "12/31/2024", "01/02/2024"]),
        Stops(
            "Dates are written in two ways: 31/12/2024 on line 2 and 12/31/2024 on line 3, so 01/02/2024 on line 4 has two \
             meanings. Send dates=dmy or dates=mdy.",
        ),
    ),
    debts("T5 the same day both ways", || dates(&["05/05/2030"]), Reads("utf-8, comma, dates dmy: 1 row")),
    debts("T6 one row", || dates(&["01/02/2030"]), Reads("utf-8, comma: 0 rows, bad_date on line 2")),
    debts("T7 two forms", || dates(&["2030-02-01", "31/12/2030"]), Reads("utf-8, comma, dates dmy: 2 rows")),
    debts("T8 years first", || dates(&["2030/12/31", "2030-1-5"]), Reads("utf-8, comma, dates ymd: 2 rows")),
    debts("T8 points", || dates(&["31.12.2030"]), Reads("utf-8, comma, dates dmy: 1 row")),
    debts("T8 hyphens", || dates(&["31-12-2030"]), Reads("utf-8, comma, dates dmy: 1 row")),
    debts(
        "T9 years of two digits",
        || dates(&["31/12/24", "13/02/24"]),
        Stops("The year of 31/12/24 on line 2 has two digits. Send dates=dmy, dates=mdy or dates=ymd."),
    ),
    said(
        "T9 answered",
        &[("dates", "dmy")],
        || dates(&["31/12/24", "13/02/24"]),
        Reads("utf-8, comma, dates dmy: 2 rows"),
    ),
    debts(
        "T10 no dates",
        || dates(&["45657", "20241231", "31/02/2030"]),
        Reads("utf-8, comma: 0 rows, bad_date on line 2, bad_date on line 3, bad_date on line 4"),
    ),
    said(
        "T11 two orders, with an answer",
        &[("dates", "dmy")],
        || dates(&["31/12/2024", "12/31/2024", "01/02/2024"]),
        Reads("utf-8, comma, dates dmy: 2 rows, bad_date on line 3"),
    ),
    debts(
        "T12 another order behind the sample",
        || {
            let blank = format!("{}\n", " ".repeat(1023)).repeat(1 << 10);
            [dates(&["31/12/2030"]), blank.into_bytes(), row(9, "Ana", "1", "12/31/2030").into_bytes()].concat()
        },
        Reads("utf-8, comma, dates dmy: 1 row, bad_date on line 1027"),
    ),
    debts(
        "C8 an array of JSON",
        || format!("[{}]", objects(2).join(", ")).into_bytes(),
        Reads("utf-8, lines of JSON, json array, decimal comma, dates dmy: 2 rows"),
    ),
    debts(
        "C8 over many lines, in UTF-16",
        || utf16(&pretty(&format!("\u{feff}[\r\n{}\r\n]\r\n", objects(3).join(", ")))),
        Reads("utf-16le, lines of JSON, json array, decimal comma, dates dmy: 3 rows"),
    ),
    debts(
        "C8 of what are no objects",
        || format!("[{}, 1, 2]", objects(1)[0]).into_bytes(),
        Reads(
            "utf-8, lines of JSON, json array, decimal comma, dates dmy: 1 row, bad_json on line 2, bad_json on line 3",
        ),
    ),
    debts(
        "C8 that is not closed",
        || pretty(&format!("[{}, {{", objects(2).join(", "))).into_bytes(),
        Reads(
            "utf-8, lines of JSON, json array, decimal comma, dates dmy: 2 rows, bad_json on line 3, bad_json on line 4",
        ),
    ),
    debts("C8 with nothing in it", || b"[ ]\n".to_vec(), Stops("the file is empty: send the header and the records")),
    debts(
        "C8 in an object",
        || format!("{{\"data\":[{}]}}", objects(2).join(", ")).into_bytes(),
        Stops("the file is one JSON object whose member data is the array of records: send that array"),
    ),
    debts(
        "C8 in an object over many lines",
        || b"{\n  \"count\": 1,\n  \"rows\": [\n    {\n      \"nome\": \"Ana\"\n    }\n  ]\n}\n".to_vec(),
        Stops("the file is one JSON object whose member rows is the array of records: send that array"),
    ),
    debts(
        "C8 a title in brackets",
        || format!("[Relatório]\n{}", plain()).into_bytes(),
        Reads("utf-8, comma, header on line 2: 2 rows"),
    ),
    Case {
        id: "N1 a bank's card",
        kind: "transactions",
        said: &[],
        bytes: || "Data,Valor,Identificador,Descrição\n31/12/2030,-10.50,a-1,Café\n".as_bytes().to_vec(),
        outcome: Reads("utf-8, comma, dates dmy: 1 row"),
    },
    Case {
        id: "N1 one whose optional columns have other names",
        kind: "transactions",
        said: &[],
        bytes: || b"date,description,amount,transaction_id\n2030-01-31,x,1.50,a\n2030-01-31,x,1.50,\n".to_vec(),
        outcome: Reads("utf-8, comma: 2 rows"),
    },
    Case {
        id: "N2 the same in English",
        kind: "transactions",
        said: &[],
        bytes: || b"date,title,amount\n2030-01-31,Netflix,55.90\n".to_vec(),
        outcome: Reads("utf-8, comma: 1 row"),
    },
];
