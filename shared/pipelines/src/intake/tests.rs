use super::*;

const HEADER: &str = "name,governmentId,email,debtAmount,debtDueDate,debtId\n";
const ROW: &str = "Ana Lima,9558,a@b.co,10,2030-01-31,00000000-0000-4000-8000-000000000000\n";

fn intake(said: Said, split: SplitLimits) -> Intake {
    Intake::new(Kind::Debts, said, split, Limits::default())
}

/// The parts, however the file is cut.
fn read(file: &[u8], said: &Said) -> Result<(Vec<Part>, Arrived), IntakeError> {
    let by = |size: usize| {
        let (mut intake, mut parts) = (intake(said.clone(), SplitLimits::default()), Vec::new());
        for bytes in file.chunks(size) {
            intake.push(bytes, |part| parts.push(part))?;
        }
        let arrived = intake.finish(|part| parts.push(part))?;
        Ok((parts, arrived))
    };
    let whole = by(usize::MAX);
    assert_eq!(format!("{whole:?}"), format!("{:?}", by(file.len() / 300 + 1)));
    whole
}

#[test]
fn empty_lines_before_the_records_are_counted() {
    for lines in [3, 2 << 20] {
        for (mark, end, first) in
            [("", "\n", HEADER), ("\u{feff}", "\r\n", HEADER), ("\u{feff}", "\n", "{\"name\":1}\n")]
        {
            let file = [mark, &end.repeat(lines), first, ROW].concat();
            let (parts, arrived) = read(file.as_bytes(), &Said::default()).unwrap();
            let (mut bytes, mut at) = (0, Vec::new());
            for part in parts {
                match part {
                    Part::Header { bytes: header, .. } => bytes = header,
                    Part::Chunk(chunk) => {
                        at.push((chunk.first_line, chunk.first_byte == bytes));
                        bytes += chunk.bytes;
                    }
                    Part::Values(_) => {}
                }
            }
            let header = u64::from(first == HEADER);
            assert_eq!(at, [(lines as u64 + 1 + header, true)], "{mark:?} {end:?} {first}");
            assert_eq!((bytes, arrived.text_bytes), (file.len() as u64, file.len() as u64));
            assert_eq!(arrived.dialect.header_line, header * (lines as u64 + 1));
        }
    }
}

#[test]
fn records_too_long_are_not_held() {
    const LONG: usize = 64 << 10;
    for before in ["", ROW] {
        let split = SplitLimits { max_record_bytes: LONG, ..SplitLimits::default() };
        let (mut intake, mut chunks) = (intake(Said::default(), split), 0);
        intake.push(HEADER.as_bytes(), |_| {}).unwrap();
        for n in 1..100 {
            let record = [before, &"x".repeat(LONG + 1), "\n"].concat();
            intake.push(record.as_bytes(), |part| chunks += usize::from(matches!(part, Part::Chunk(_)))).unwrap();
            let Text { held, .. } = &intake.text;
            assert!(held.len() <= 16, "{n}");
            assert!(held.iter().all(|chunk| chunk.data.capacity() <= before.len() + 64), "{n}");
        }
        assert!(chunks > 90, "{chunks}");
    }
}
