//! Pages are drawn by poppler, and what machines shall read on them is read by zbar.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use gristmill_bills::{
    Bill, BillFacts, Language, Money, Party,
    pdf::{Branding, Logo, LogoError, PdfError, render},
    rails::Payment,
};

use crate::support::{BARCODE, LINE, facts, settings};

/// A page in a file, which stays in the target folder's `tmp/pages` to be looked at.
struct Printed {
    page: PathBuf,
}

impl Printed {
    fn new(bill: &Bill, branding: &Branding, language: Language) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
        fs::create_dir_all(&folder).unwrap();
        let test = thread::current().name().unwrap().replace("::", "-");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let page = folder.join(format!("{test}-{language}-{count}.pdf"));
        fs::write(&page, render(bill, branding, language).unwrap()).unwrap();
        Self { page }
    }

    /// All codes that zbar finds at so many dots an inch, each as `kind:text`.
    fn codes(&self, dots: u32) -> Vec<String> {
        let image = self.page.with_extension("");
        run("pdftoppm", &["-r", &dots.to_string(), "-gray", "-singlefile", "-png"], &[&self.page, &image]);
        // it ends with 4 when it finds nothing
        let found = command("zbarimg", &["-q", "--nodbus", "--xml"], &[&image.with_extension("png")]);
        let xml = String::from_utf8(found.stdout).unwrap();
        let code = |symbol: &str| {
            let kind = symbol.split('\'').nth(1).unwrap();
            let text = symbol.split("<![CDATA[").nth(1).unwrap().split("]]>").next().unwrap();
            format!("{kind}:{text}")
        };
        let mut codes: Vec<String> = xml.split("<symbol ").skip(1).map(code).collect();
        codes.sort();
        codes
    }

    /// The colour of a dot, ten a millimetre.
    fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let place = ["-r", "254", "-x", &x.to_string(), "-y", &y.to_string(), "-W", "1", "-H", "1", "-singlefile"];
        // a header, then three bytes
        let image = run("pdftoppm", &place, &[&self.page]).stdout;
        image[image.len() - 3..].try_into().unwrap()
    }

    /// The text as a reader would copy it.
    fn text(&self) -> String {
        let output = run("pdftotext", &["-layout"], &[&self.page, Path::new("-")]);
        String::from_utf8(output.stdout).unwrap().replace('\u{a0}', " ")
    }

    /// Where each word stands, in points from the top left corner.
    fn words(&self) -> Vec<Word> {
        let boxes = run("pdftotext", &["-bbox"], &[&self.page, Path::new("-")]);
        let boxes = String::from_utf8(boxes.stdout).unwrap();
        let word = |line: &str| {
            let side = |name: &str| {
                let rest = line.split(&format!("{name}=\"")).nth(1).unwrap();
                rest.split('"').next().unwrap().parse::<f32>().unwrap()
            };
            let text = line.split('>').nth(1).unwrap().split('<').next().unwrap().to_owned();
            Word { left: side("xMin"), right: side("xMax"), top: side("yMin"), bottom: side("yMax"), text }
        };
        boxes.lines().filter(|line| line.contains("<word ")).map(word).collect()
    }

    /// What poppler says of the file: its pages and fonts.
    fn said_of_it(&self) -> (String, String) {
        let said = |tool| String::from_utf8(run(tool, &[], &[&self.page]).stdout).unwrap();
        (said("pdfinfo"), said("pdffonts"))
    }
}

#[derive(Debug)]
struct Word {
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
    text: String,
}

impl Word {
    /// The boxes are as high as the font's highest letters: a third of that is left free at least.
    fn overlaps(&self, other: &Self) -> bool {
        let free = (self.bottom - self.top).min(other.bottom - other.top) / 3.0;
        self.left < other.right - 0.5
            && other.left < self.right - 0.5
            && self.top + free < other.bottom
            && other.top + free < self.bottom
    }
}

fn command(program: &str, arguments: &[&str], files: &[&Path]) -> Output {
    Command::new(program).args(arguments).args(files).output().unwrap_or_else(|error| {
        panic!("{program} is needed to look at pages (`make setup` installs it): {error}");
    })
}

fn run(program: &str, arguments: &[&str], files: &[&Path]) -> Output {
    let output = command(program, arguments, files);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn code_of(bill: &Bill) -> &str {
    let code = bill.payments.iter().find_map(|payment| match payment {
        Payment::Pix { code } | Payment::Epc { code, .. } => Some(code),
        Payment::Boleto(_) => None,
    });
    code.unwrap()
}

/// With long names wherever there are names.
fn long() -> Bill {
    let mut settings = settings();
    let name =
        "Companhia Brasileira de Águas, Esgotos, Energia e Telecomunicações do Alto Rio Grande e Adjacências S.A.";
    settings.beneficiary.name = name.to_owned();
    settings.beneficiary.address =
        vec!["Avenida Desembargador Vítor Lima Presidente Castello Branco, 157".repeat(2); 6];
    let mut facts = facts();
    facts.payer = Party {
        name: "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft".repeat(2),
        document: Some("12ABC34501DE35".to_owned()),
        email: Some(format!("{}@example.com", "a".repeat(64))),
        address: settings.beneficiary.address.clone(),
    };
    facts.amount = Money::brl(9_999_999_999);
    facts.paid_minor = 1_234_567_890;
    facts.reference = Some("x".repeat(300));
    facts.description = Some("uma descrição que não acaba nunca mais, ".repeat(60));
    settings.bill(facts).unwrap()
}

fn branded() -> Branding {
    Branding {
        sample: false,
        logo: Some(Logo::png(&png_of(png::ColorType::Rgba, 4)).unwrap()),
        accent: "#b3261e".parse().unwrap(),
        note: Some("Dúvidas? Ligue para 0800 000 0000, de segunda a sexta, das 8 às 18 horas.".to_owned()),
    }
}

fn png_of(color: png::ColorType, channels: usize) -> Vec<u8> {
    let (width, height) = (240, 64);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    let pixel = |at: u32| {
        let (x, y) = (at % width, at / width);
        let inside = (x.min(width - 1 - x)).min(y.min(height - 1 - y)) > 8 && (x / 8 + y / 8) % 3 != 0;
        [0xB3, 0x26, 0x1E, if inside { 255 } else { 40 }][4 - channels..].to_vec()
    };
    let pixels: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

#[test]
fn barcode_and_qr_code_are_read_again() {
    let bill = settings().bill(facts()).unwrap();
    for (language, branding) in Language::ALL.into_iter().zip([Branding::default(), branded(), Branding::default()]) {
        let printed = Printed::new(&bill, &branding, language);
        let wanted = [format!("I2/5:{BARCODE}"), format!("QR-Code:{}", code_of(&bill))];
        for dots in [150, 300] {
            assert_eq!(printed.codes(dots), wanted, "{language} at {dots} dpi");
        }
    }
}

#[test]
fn a_sepa_code_is_read_again() {
    let mut facts = facts();
    facts.amount = Money::eur(124_020);
    facts.number = 1234;
    let bill = settings().bill(facts).unwrap();
    let printed = Printed::new(&bill, &Branding::default(), Language::English);
    assert_eq!(printed.codes(200), [format!("QR-Code:{}", code_of(&bill))]);
    let text = printed.text();
    for wanted in ["DE89 3704 0044 0532 0130 00", "RF54 1234", "€1,240.20", "1 Nov 2008"] {
        assert!(text.contains(wanted), "{wanted}:\n{text}");
    }
}

#[test]
fn each_rail_may_be_missing() {
    let settings = settings();
    let branding = Branding::default();
    let mut bill = settings.bill(facts()).unwrap();
    let boleto = bill.payments.pop().unwrap();
    let printed = Printed::new(&bill, &branding, Language::Spanish);
    assert_eq!(printed.codes(150), [format!("QR-Code:{}", code_of(&bill))]);

    bill.payments = vec![boleto];
    let printed = Printed::new(&bill, &branding, Language::English);
    assert_eq!(printed.codes(150), [format!("I2/5:{BARCODE}")]);

    bill.payments.clear();
    let printed = Printed::new(&bill, &branding, Language::Portuguese);
    assert_eq!(printed.codes(150), [""; 0]);
    assert!(printed.text().contains("Como pagar"));
}

#[test]
fn a_part_that_was_paid_is_shown_and_not_asked_for_again() {
    let settings = settings();
    for (language, words) in [
        (Language::Portuguese, ["Valor a pagar", "Valor da fatura R$ 1.240,20 · Pago R$ 400,00", "R$ 840,20"]),
        (Language::English, ["Amount due", "Bill amount R$1,240.20 · Paid R$400.00", "R$840.20"]),
        (Language::Spanish, ["Importe a pagar", "Importe del aviso 1.240,20 R$ · Pagado 400,00 R$", "840,20 R$"]),
    ] {
        let bill = settings.bill(BillFacts { paid_minor: 40_000, ..facts() }).unwrap();
        let printed = Printed::new(&bill, &Branding::default(), language);
        let text = printed.text();
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
        let Some(Payment::Boleto(slip)) = bill.payments.last() else { panic!("a boleto: {bill:?}") };
        assert_eq!(slip.barcode.amount_minor(), 84_020);
        assert_eq!(printed.codes(150), [format!("I2/5:{}", slip.barcode), format!("QR-Code:{}", code_of(&bill))]);
    }
}

#[test]
fn a_bill_that_is_over_says_so_and_asks_for_nothing() {
    let settings = settings();
    let paid = |paid_minor| BillFacts { paid_minor, ..facts() };
    let cancelled = BillFacts { cancelled: true, ..facts() };
    for (facts, language, wanted) in [
        (paid(124_020), Language::English, ["PAID", "Paid R$1,240.20", "This bill is paid."]),
        (paid(150_000), Language::English, ["PAID", "Paid R$1,500.00 · Overpaid by R$259.80", "This bill is paid."]),
        (paid(150_000), Language::Portuguese, ["PAGA", "Pago a mais R$ 259,80", "Não pague novamente."]),
        (paid(124_020), Language::Spanish, ["PAGADO", "Pagado 1.240,20 R$", "No pague de nuevo."]),
        (cancelled.clone(), Language::English, ["CANCELLED", "Bill amount", "Nothing is to be paid."]),
        (cancelled, Language::Portuguese, ["CANCELADA", "Valor da fatura", "Não há nada a pagar."]),
    ] {
        let printed = Printed::new(&settings.bill(facts).unwrap(), &Branding::default(), language);
        let text = printed.text();
        for word in wanted {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert_eq!(printed.codes(150), [""; 0], "nothing to scan: {text}");
        for asks in ["Amount due", "Valor a pagar", "Importe a pagar", "Pay with Pix", "Como pagar", "linha digit"] {
            assert!(!text.contains(asks), "{asks}: {text}");
        }
    }
}

#[test]
fn a_bill_whose_due_date_has_passed_says_so() {
    for (language, wanted) in
        [(Language::English, "OVERDUE"), (Language::Portuguese, "VENCIDA"), (Language::Spanish, "VENCIDO")]
    {
        let page = |overdue| {
            Printed::new(&settings().bill(BillFacts { overdue, ..facts() }).unwrap(), &Branding::default(), language)
        };
        assert!(page(true).text().contains(wanted), "{}", page(true).text());
        assert!(!page(false).text().contains(wanted), "{}", page(false).text());
        assert_eq!(page(true).codes(150).len(), 2, "it can still be paid");
    }
}

#[test]
fn a_sample_says_so_across_the_page_and_is_read_all_the_same() {
    for (language, wanted) in
        [(Language::English, "SAMPLE"), (Language::Portuguese, "AMOSTRA"), (Language::Spanish, "MUESTRA")]
    {
        let bill = settings().bill(facts()).unwrap();
        let sample = Printed::new(&bill, &Branding { sample: true, ..Branding::default() }, language);
        // Twice, each a fifth of the page wide at least: poppler gives slanted words letter by letter or as a whole.
        let read = String::from_utf8(run("pdftotext", &["-raw"], &[&sample.page, Path::new("-")]).stdout).unwrap();
        assert!(read.matches(wanted).count() >= 2, "{wanted}: {read}");
        assert_eq!(sample.codes(150), [format!("I2/5:{BARCODE}"), format!("QR-Code:{}", code_of(&bill))]);
        let plain = Printed::new(&bill, &Branding::default(), language);
        assert!(!plain.text().contains(wanted), "{}", plain.text());
    }
}

#[test]
fn names_in_other_scripts_can_be_read() {
    for (name, wanted) in [
        ("日本太郎", "RiBenTaiLang"),
        ("محمد", "mhmd"),
        ("ภาษาไทย", "phasaaithy"),
        ("दिल्ली", "dilli"),
        ("דוד", "dvd"),
        ("서울", "seoul"),
        ("Zoë 😀 Łukasz", "Zoë :grinning: Łukasz"),
        ("Иван Ελένη", "Иван Ελένη"),
        ("e\u{301}\u{200d}a", "éa"),
    ] {
        let payer = Party { name: name.to_owned(), ..facts().payer };
        let printed = Printed::new(
            &settings().bill(BillFacts { payer, ..facts() }).unwrap(),
            &Branding::default(),
            Language::Portuguese,
        );
        let text = printed.text();
        assert!(text.to_lowercase().matches(&wanted.to_lowercase()).count() >= 2, "on page and slip: {name}: {text}");
        assert!(!text.contains('?'), "{name}: {text}");
    }
}

#[test]
fn the_text_can_be_copied() {
    let bill = settings().bill(facts()).unwrap();
    let wanted = [
        (Language::Portuguese, ["Fatura", "Vencimento", "R$ 1.240,20", "01/11/2008", "Pagador"]),
        (Language::English, ["Bill", "Due date", "R$1,240.20", "1 Nov 2008", "Billed to"]),
        (Language::Spanish, ["Aviso de cobro", "Vencimiento", "1.240,20 R$", "01/11/2008", "Pagador"]),
    ];
    for (language, wanted) in wanted {
        let printed = Printed::new(&bill, &Branding::default(), language);
        let text = printed.text();
        let line: String = text.chars().filter(|character| character.is_ascii_digit()).collect();
        assert!(line.contains(LINE), "{text}");
        for wanted in wanted.into_iter().chain(["João Conceição da Silva", "529.982.247-25", "61686237936", "237-2"])
        {
            assert!(text.contains(wanted), "{language}: {wanted}:\n{text}");
        }
        let layout = printed.text();
        let begin = layout.find("000201").unwrap();
        let pasted: String = layout[begin..].lines().map(str::trim).collect();
        assert!(pasted.starts_with(code_of(&bill)), "{layout}");
        let (info, fonts) = printed.said_of_it();
        assert!(info.contains("Pages:           1") && info.contains("A4"), "{info}");
        assert!(!info.contains("CreationDate"), "{info}");
        assert_eq!(fonts.matches("yes yes yes").count(), 2, "embedded, subsets, with a map to text: {fonts}");
    }
}

#[test]
fn long_texts_stay_on_the_page() {
    let bill = long();
    for language in Language::ALL {
        let printed = Printed::new(&bill, &branded(), language);
        assert_eq!(printed.codes(300).len(), 2, "nothing is drawn over the codes");
        let words = printed.words();
        assert!(words.len() > 100);
        for (at, word) in words.iter().enumerate() {
            let inside = word.left >= 50.0 && word.right <= 545.5 && word.top > 20.0 && word.bottom < 840.0;
            assert!(inside, "{language}: {word:?}");
            if let Some(other) = words[at + 1..].iter().find(|other| word.overlaps(other)) {
                panic!("{language}: {word:?} over {other:?}");
            }
        }
        let slip = words.iter().rfind(|word| word.text == "Pagador").unwrap();
        let code = words.iter().find(|word| word.text.starts_with("000201")).unwrap();
        // the slip is cut off at 190 mm of 297
        assert!(code.bottom < 190.0 / 25.4 * 72.0 && slip.top > 190.0 / 25.4 * 72.0);
    }
}

#[test]
fn letters_the_font_does_not_have_are_told_apart_from_nothing() {
    let mut facts = facts();
    facts.payer.name = "Łukasz Žižek, Ελένη, Ольга e\u{301} 東京\u{7}".to_owned();
    let bill = settings().bill(facts).unwrap();
    let text = Printed::new(&bill, &Branding::default(), Language::English).text();
    assert!(text.contains("Łukasz Žižek, Ελένη, Ольга é "), "{text}");
}

#[test]
fn the_same_bill_is_the_same_page() {
    let bill = settings().bill(facts()).unwrap();
    let page = || render(&bill, &branded(), Language::English).unwrap();
    assert_eq!(page(), page());
    assert!(page().len() < 40_000, "{} bytes", page().len());
}

#[test]
fn a_code_that_is_too_long_is_refused() {
    let mut bill = settings().bill(facts()).unwrap();
    bill.payments = vec![Payment::Pix { code: "x".repeat(3000) }];
    let refused = render(&bill, &Branding::default(), Language::English);
    assert_eq!(refused, Err(PdfError::Qr { bytes: 3000 }));
}

#[test]
fn logos_of_all_colours() {
    use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
    let bill = settings().bill(facts()).unwrap();
    for (color, channels) in [(Grayscale, 1), (GrayscaleAlpha, 2), (Rgb, 3), (Rgba, 4)] {
        let logo = Logo::png(&png_of(color, channels)).unwrap();
        let branding = Branding { logo: Some(logo), ..Branding::default() };
        assert_eq!(Printed::new(&bill, &branding, Language::English).codes(150).len(), 2, "{color:?}");
    }
    let file = png_of(Rgb, 3);
    for broken in [&file[..0], &file[..60], b"GIF89a"] {
        assert!(matches!(Logo::png(broken), Err(LogoError::Png(_))));
    }
}

#[test]
fn a_logo_of_shapes() {
    let svg = r##"<svg xmlns="http://www.w3.org/2000/svg" width="240" height="64" viewBox="0 0 240 64">
        <defs><clipPath id="c"><rect x="0" y="0" width="240" height="60"/></clipPath></defs>
        <g clip-path="url(#c)" transform="translate(2 2)">
            <circle cx="28" cy="28" r="26" fill="#1f4e8c"/>
            <path d="M10 30 Q28 4 46 30 T70 30" fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round"/>
            <g opacity="0.5"><rect x="70" y="8" width="150" height="18" rx="6" fill="#00a86b"/></g>
            <path d="M70 36 h150 v14 h-150 z M80 40 h20 v6 h-20 z" fill-rule="evenodd" fill="rgb(179,38,30)"/>
        </g></svg>"##;
    let bill = settings().bill(facts()).unwrap();
    let branding = Branding { logo: Some(Logo::svg(svg.as_bytes()).unwrap()), ..Branding::default() };
    let printed = Printed::new(&bill, &branding, Language::English);
    assert_eq!(printed.codes(150).len(), 2);
    // the logo's box is 60 by 16 mm at 18, 15: 254 dots an inch are ten a millimetre
    let looks = |x: u32, y: u32, wanted: [u8; 3]| {
        let found = printed.pixel(180 + x * 600 / 240, 150 + y * 160 / 64);
        let near = found.iter().zip(wanted).all(|(found, wanted)| found.abs_diff(wanted) <= 1);
        assert!(near, "{found:?} at {x}, {y}: {wanted:?} is wanted");
    };
    looks(30, 50, [0x1F, 0x4E, 0x8C]);
    // half transparent on white
    looks(150, 20, [0x80, 0xD4, 0xB5]);
    // a hole
    looks(92, 45, [255, 255, 255]);
    looks(150, 45, [179, 38, 30]);

    for (part, what) in [
        (
            r##"<linearGradient id="g"><stop stop-color="red"/><stop offset="1"/></linearGradient><rect width="9" height="9" fill="url(#g)"/>"##,
            "gradients",
        ),
        (
            r##"<mask id="m"><rect width="5" height="5" fill="#fff"/></mask><rect width="9" height="9" mask="url(#m)"/>"##,
            "masks",
        ),
        (
            r##"<filter id="f"><feGaussianBlur stdDeviation="1"/></filter><rect width="9" height="9" filter="url(#f)"/>"##,
            "filters",
        ),
    ] {
        let svg = format!(r##"<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{part}</svg>"##);
        let refused = Logo::svg(svg.as_bytes());
        assert!(matches!(refused, Err(LogoError::Unsupported(found)) if found == what), "{what}: {refused:?}");
    }
    assert!(matches!(Logo::svg(b"<svg"), Err(LogoError::Svg(_))));
}
