use std::io;

use super::{
    BUFFER_BYTES, Counts, Lots, Options,
    numbers::Numbers,
    spill,
    words::{FIRST_NAMES, LAST_NAMES, MAIL_DOMAINS, MAILBOXES},
};
use crate::{Kind, ReasonCode};

/// Writes a file of debts.
pub fn debts(options: &Options, mut out: impl io::Write) -> io::Result<Counts> {
    let mut file = File {
        numbers: Numbers::new(options.seed, 1),
        ids: Numbers::new(options.seed, 2),
        all_ids: Numbers::new(options.seed, 2),
        due_dates: due_dates(),
        buffer: Vec::with_capacity(BUFFER_BYTES + 1024),
    };
    let faults = faults(options);
    let lots = Lots::of(options);
    let mut counts = Counts::default();
    file.buffer.extend_from_slice(Kind::Debts.samples().header.as_bytes());
    file.buffer.push(b'\n');
    for _ in 0..options.rows {
        let lot = u128::from(file.numbers.next());
        if lot < lots.bad {
            let fault = faults[(counts.rejected % faults.len() as u64) as usize];
            file.bad(fault, options.max_record_bytes.unwrap_or_default());
            counts.rejected += 1;
        } else if lot < lots.repeated && counts.accepted > 0 {
            let earlier = file.numbers.below(counts.accepted);
            let id = file.all_ids.peek_uuid(earlier);
            file.good(id);
            counts.duplicate += 1;
        } else {
            let id = file.ids.uuid();
            file.good(id);
            counts.accepted += 1;
        }
        if file.buffer.len() >= BUFFER_BYTES {
            spill(&mut file.buffer, &mut out, &mut counts)?;
        }
    }
    spill(&mut file.buffer, &mut out, &mut counts)?;
    out.flush()?;
    Ok(counts)
}

/// What can be wrong with a debt by itself: what its samples show, and what depends on the options.
fn faults(options: &Options) -> Vec<ReasonCode> {
    let possible = |code: &ReasonCode| match code {
        ReasonCode::BadGovernmentId => options.check_government_id,
        ReasonCode::RecordTooLong => options.max_record_bytes.is_some(),
        code => Kind::Debts.samples().bad.iter().any(|bad| bad.code == *code),
    };
    ReasonCode::ALL.iter().copied().filter(possible).collect()
}

/// Every day from 2022-10-01 to 2024-10-31.
fn due_dates() -> Vec<[u8; 10]> {
    let mut days = Vec::with_capacity(762);
    for (year, months) in [(2022, 10..=12), (2023, 1..=12), (2024, 1..=10)] {
        for month in months {
            let last = match month {
                2 if year == 2024 => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            for day in 1..=last {
                let text = format!("{year}-{month:02}-{day:02}");
                days.extend(<[u8; 10]>::try_from(text.as_bytes()));
            }
        }
    }
    days
}

struct File {
    numbers: Numbers,
    ids: Numbers,
    /// Stays at the start of the stream of ids, to look earlier ones up.
    all_ids: Numbers,
    due_dates: Vec<[u8; 10]>,
    buffer: Vec<u8>,
}

impl File {
    fn good(&mut self, id: uuid::Uuid) {
        self.name();
        self.separate();
        self.government_id();
        self.separate();
        self.email();
        self.separate();
        self.amount();
        self.separate();
        self.due_date();
        self.separate();
        self.id(id);
        self.buffer.push(b'\n');
    }

    /// A record that has one fault and is good otherwise. Its id is none of the file's.
    fn bad(&mut self, fault: ReasonCode, max_record_bytes: usize) {
        let id = uuid::Uuid::from_u128(u128::from(self.numbers.next()));
        let start = self.buffer.len();
        match fault {
            // With a letter that is UTF-8, so that the file is not taken for one of Windows-1252.
            ReasonCode::NotUtf8 => self.buffer.extend_from_slice(b"Jos\xc3\xa9 Guimar\xe3es"),
            ReasonCode::NulByte => self.buffer.extend_from_slice(b"Nul\0 Lima"),
            ReasonCode::MissingField => self.buffer.push(b' '),
            ReasonCode::FieldTooLong => self.buffer.resize(start + 300, b'x'),
            _ => self.name(),
        }
        self.separate();
        match fault {
            ReasonCode::BadGovernmentId => self.buffer.extend_from_slice(b"52998224724"),
            _ => self.government_id(),
        }
        self.separate();
        match fault {
            ReasonCode::BadEmail => self.buffer.extend_from_slice(b"nobody.example.com"),
            _ => self.email(),
        }
        self.separate();
        match fault {
            ReasonCode::BadAmount => self.buffer.extend_from_slice(b"-12.345"),
            _ => self.amount(),
        }
        self.separate();
        match fault {
            ReasonCode::BadDate => self.buffer.extend_from_slice(b"2023-02-29"),
            _ => self.due_date(),
        }
        match fault {
            ReasonCode::TooFewColumns => {}
            ReasonCode::BadUuid => self.buffer.extend_from_slice(b",not-a-uuid"),
            _ => {
                self.separate();
                self.id(id);
            }
        }
        if fault == ReasonCode::TooManyColumns {
            self.buffer.extend_from_slice(b",one too many");
        }
        if fault == ReasonCode::RecordTooLong {
            self.buffer.resize(self.buffer.len().max(start + max_record_bytes + 1), b' ');
        }
        self.buffer.push(b'\n');
    }

    fn separate(&mut self) {
        self.buffer.push(b',');
    }

    fn name(&mut self) {
        self.buffer.extend_from_slice(self.numbers.pick(FIRST_NAMES).as_bytes());
        self.buffer.push(b' ');
        self.buffer.extend_from_slice(self.numbers.pick(LAST_NAMES).as_bytes());
        if self.numbers.below(6) == 0 {
            self.buffer.push(b' ');
            self.buffer.extend_from_slice(self.numbers.pick(LAST_NAMES).as_bytes());
        }
    }

    fn government_id(&mut self) {
        self.four_digits(1000, 9999);
    }

    fn email(&mut self) {
        self.buffer.extend_from_slice(self.numbers.pick(MAILBOXES).as_bytes());
        let number = self.numbers.below(100) as u8;
        self.buffer.extend_from_slice(&[b'0' + number / 10, b'0' + number % 10, b'@']);
        self.buffer.extend_from_slice(self.numbers.pick(MAIL_DOMAINS).as_bytes());
    }

    fn amount(&mut self) {
        // 10000 is the only amount of five digits
        if self.numbers.below(9001) == 9000 {
            self.buffer.extend_from_slice(b"10000");
        } else {
            self.four_digits(1000, 9999);
        }
    }

    fn due_date(&mut self) {
        let day = self.numbers.pick(&self.due_dates);
        self.buffer.extend_from_slice(&day);
    }

    fn id(&mut self, id: uuid::Uuid) {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        self.buffer.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
    }

    fn four_digits(&mut self, from: u64, to: u64) {
        let number = from + self.numbers.below(to - from + 1);
        for power in [1000, 100, 10, 1] {
            self.buffer.push(b'0' + (number / power % 10) as u8);
        }
    }
}
