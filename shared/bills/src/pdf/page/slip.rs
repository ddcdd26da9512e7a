//! The slip of a boleto (*ficha de compensação*): for the bank, so in Portuguese.

use super::{Area, Canvas, LEFT, RIGHT, Sheet, Style, WIDTH};
use crate::{
    Language, Party, dates, documents,
    pdf::{color::Color, symbols},
    rails::boleto::Slip,
};

/// Where it is cut off. FEBRABAN wants 95 to 108 mm.
pub(super) const TOP: f32 = 190.0;

const HEAD: f32 = TOP + 7.0;
const HEAD_HEIGHT: f32 = 9.0;
const ROW: f32 = 7.6;
/// Where the right column begins.
const SIDE: f32 = LEFT + 128.0;
const INK: Color = Color::gray(60);
const LABEL: Style = Style::LABEL.sized(5.8);
const VALUE: Style = Style::BODY.sized(8.2);
const STRONG: Style = Style::STRONG.sized(9.0);

/// As FEBRABAN has it, in millimetres.
const BARCODE: (f32, f32) = (103.0, 13.0);

pub(super) fn draw(canvas: &mut Canvas, sheet: &Sheet<'_>, slip: &Slip) {
    canvas.cut_line(Color::gray(150), TOP);
    canvas.text(Style::LABEL, LEFT, TOP - 1.8, &Style::LABEL.cut(sheet.words.slip, WIDTH));
    head(canvas, slip);
    let y = rows(canvas, sheet, slip, HEAD + HEAD_HEIGHT);
    let y = instructions(canvas, sheet, y);
    let y = payer(canvas, sheet, y);
    let area = Area { x: LEFT + 2.0, y: y + 4.0, w: BARCODE.0, h: BARCODE.1 };
    let (bars, modules) = symbols::interleaved(slip.barcode.as_str());
    canvas.bars(area, modules, &bars);
    canvas.text_to(LABEL, RIGHT, y + 3.0, "Autenticação mecânica - FICHA DE COMPENSAÇÃO");
}

/// The bank, its code and the line of digits.
fn head(canvas: &mut Canvas, slip: &Slip) {
    let baseline = HEAD + 6.2;
    let name = slip.bank_name.as_deref().unwrap_or("");
    let style = Style::STRONG.shrunk(name, 36.0, 7.0);
    canvas.text(style, LEFT, baseline, &style.cut(name, 36.0));
    let code = Style::TITLE.sized(13.0);
    let text = format!("{}-{}", slip.barcode.bank(), bank_check(slip.barcode.bank()));
    canvas.text(code, LEFT + 48.0 - code.width(&text) / 2.0, baseline, &text);
    for x in [LEFT + 38.0, LEFT + 58.0] {
        canvas.line(INK, 1.0, (x, HEAD + 1.0), (x, HEAD + HEAD_HEIGHT));
    }
    let line = slip.linha_digitavel.to_string();
    let style = Style::STRONG.sized(10.5).shrunk(&line, RIGHT - LEFT - 60.0, 6.0);
    canvas.text_to(style, RIGHT, baseline, &line);
}

fn rows(canvas: &mut Canvas, sheet: &Sheet<'_>, slip: &Slip, y: f32) -> f32 {
    let (facts, beneficiary) = (&sheet.bill.facts, &sheet.bill.beneficiary);
    let day = |date| dates::short(date, Language::Portuguese);
    let amount = facts.rest().read(Language::Portuguese);
    let (due, issued, number) = (day(facts.due_on), day(facts.issued_on), facts.number.to_string());
    let wide = SIDE - LEFT;
    let who = named(beneficiary, wide - 2.0);
    let parts: [f32; 6] = [0.0, 25.0, 62.0, 80.0, 94.0, wide];

    canvas.fill(Color::gray(238), Area { x: SIDE, y, w: RIGHT - SIDE, h: ROW });
    canvas.fill(Color::gray(238), Area { x: SIDE, y: y + 3.0 * ROW, w: RIGHT - SIDE, h: ROW });

    row(canvas, y, &[(0.0, wide, "Local de pagamento", "Em qualquer banco, aplicativo ou lotérica")]);
    right(canvas, y, STRONG, "Vencimento", &due);

    row(canvas, y + ROW, &[(0.0, wide, "Beneficiário", &who)]);
    right(canvas, y + ROW, VALUE, "Agência / Código do beneficiário", &slip.account);

    let cell = |at: usize, label, value| (parts[at], parts[at + 1], label, value);
    let cells = [
        cell(0, "Data do documento", issued.as_str()),
        cell(1, "Nº do documento", &number),
        cell(2, "Espécie doc.", "DM"),
        cell(3, "Aceite", "N"),
        cell(4, "Data do processamento", &issued),
    ];
    row(canvas, y + 2.0 * ROW, &cells);
    right(canvas, y + 2.0 * ROW, VALUE, "Nosso número", &slip.our_number);

    let cells = [
        cell(0, "Carteira", slip.wallet.as_str()),
        cell(1, "Quantidade", ""),
        cell(2, "Espécie", "R$"),
        (parts[3], wide, "Valor", ""),
    ];
    row(canvas, y + 3.0 * ROW, &cells);
    right(canvas, y + 3.0 * ROW, STRONG, "(=) Valor do documento", &amount);
    y + 4.0 * ROW
}

/// Three rows: what the client says on the left, what a teller fills in on the right.
fn instructions(canvas: &mut Canvas, sheet: &Sheet<'_>, y: f32) -> f32 {
    line(canvas, y, LEFT);
    canvas.text(LABEL, LEFT + 1.0, y + 2.6, "Informações de responsabilidade do beneficiário");
    let facts = &sheet.bill.facts;
    let style = VALUE.sized(7.5);
    let width = SIDE - LEFT - 3.0;
    let texts = [facts.description.as_deref(), sheet.branding.note.as_deref(), facts.reference.as_deref()];
    let lines: Vec<String> = texts.into_iter().flatten().flat_map(|text| style.wrap(text, width, 2)).take(5).collect();
    canvas.lines(style, LEFT + 1.0, y + 6.4, &lines);
    for (at, label) in ["(-) Desconto / Abatimento", "(+) Mora / Multa", "(=) Valor cobrado"].into_iter().enumerate() {
        right(canvas, y + at as f32 * ROW, VALUE, label, "");
    }
    y + 3.0 * ROW
}

fn payer(canvas: &mut Canvas, sheet: &Sheet<'_>, y: f32) -> f32 {
    let payer = &sheet.bill.facts.payer;
    line(canvas, y, LEFT);
    canvas.text(LABEL, LEFT + 1.0, y + 2.6, "Pagador");
    let width = WIDTH - 2.0;
    let lines = [named(payer, width), payer.address.join(", ")];
    let lines: Vec<String> = lines.iter().filter(|line| !line.is_empty()).map(|line| VALUE.cut(line, width)).collect();
    canvas.lines(VALUE, LEFT + 1.0, y + 6.3, &lines);
    let end = y + 12.0;
    line(canvas, end, LEFT);
    end
}

/// Cells of the left column: where each begins and ends, its label and value.
fn row(canvas: &mut Canvas, y: f32, cells: &[(f32, f32, &str, &str)]) {
    line(canvas, y, LEFT);
    for (begin, end, label, value) in cells {
        let x = LEFT + begin;
        if *begin > 0.0 {
            canvas.line(INK, 0.4, (x, y), (x, y + ROW));
        }
        let width = end - begin - 2.0;
        let style = VALUE.shrunk(value, width, 6.0);
        canvas.text(LABEL, x + 1.0, y + 2.6, label);
        canvas.text(style, x + 1.0, y + 6.3, &style.cut(value, width));
    }
}

/// A cell of the right column.
fn right(canvas: &mut Canvas, y: f32, style: Style, label: &str, value: &str) {
    line(canvas, y, SIDE);
    canvas.line(INK, 0.4, (SIDE, y), (SIDE, y + ROW));
    canvas.text(LABEL, SIDE + 1.0, y + 2.6, label);
    let style = style.shrunk(value, RIGHT - SIDE - 2.0, 5.0);
    canvas.text_to(style, RIGHT - 1.0, y + 6.3, value);
}

fn line(canvas: &mut Canvas, y: f32, from: f32) {
    canvas.line(INK, 0.4, (from, y), (RIGHT, y));
}

/// Name and document on one line: the name is cut where both are too long.
fn named(party: &Party, width: f32) -> String {
    match &party.document {
        Some(document) => {
            let document = VALUE.cut(&format!(" - {}", documents::read(document)), width / 2.0);
            VALUE.cut(&party.name, width - VALUE.width(&document)) + &document
        }
        None => party.name.clone(),
    }
}

/// Modulo 11 with weights 2 to 4 from the right; 10 is written `X`, but 0 by Caixa; 11 as 0.
fn bank_check(bank: &str) -> char {
    let sum: u32 = bank.bytes().rev().zip(2..).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    match 11 - sum % 11 {
        10 if bank == "104" => '0',
        10 => 'X',
        11 => '0',
        check => char::from_digit(check, 10).unwrap_or('0'),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn check_digits_of_banks() {
        for (bank, check) in [("001", '9'), ("237", '2'), ("341", '7'), ("104", '0'), ("748", 'X'), ("033", '7')] {
            assert_eq!(super::bank_check(bank), check, "{bank}");
        }
    }
}
