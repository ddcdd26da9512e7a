//! Workbooks that another library writes are read as a third one reads them.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

use crate::{LIMITS, Wanted, read_as};

#[derive(Debug, Clone)]
enum Value {
    None,
    Text(String),
    Number(f64),
    Day(u16, u8, u8),
    Yes(bool),
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::None),
        3 => "[a-zA-Zé ,\";<&'\n]{1,12}".prop_map(Value::Text),
        3 => (-1_000_000_000_i64..1_000_000_000, 0..4_i32).prop_map(|(n, e)| Value::Number(n as f64 / 10_f64.powi(e))),
        1 => (1900..2100_u16, 1..=12_u8, 1..=28_u8).prop_map(|(y, m, d)| Value::Day(y, m, d)),
        1 => any::<bool>().prop_map(Value::Yes),
    ]
}

fn written(rows: &[Vec<Value>]) -> Vec<u8> {
    let mut book = Workbook::new();
    let day = Format::new().set_num_format("dd/mm/yyyy");
    let sheet = book.add_worksheet();
    for (row, values) in (0..).zip(rows) {
        for (column, value) in (0..).zip(values) {
            match value {
                Value::None => continue,
                Value::Text(text) => sheet.write(row, column, text),
                Value::Number(number) => sheet.write(row, column, *number),
                Value::Day(y, m, d) => {
                    sheet.write_with_format(row, column, ExcelDateTime::from_ymd(*y, *m, *d).unwrap(), &day)
                }
                Value::Yes(yes) => sheet.write(row, column, *yes),
            }
            .unwrap();
        }
    }
    book.save_to_buffer().unwrap()
}

/// As the third library reads it, in the same form.
fn expected(bytes: &[u8], width: usize) -> Vec<Vec<String>> {
    let mut book = Xlsx::new(Cursor::new(bytes)).unwrap();
    let range = book.worksheet_range_at(0).unwrap().unwrap();
    let Some((last, _)) = range.end() else { return Vec::new() };
    let value = |row, column| match range.get_value((row, column)) {
        None | Some(Data::Empty) => String::new(),
        Some(Data::String(text)) => text.clone(),
        Some(Data::Float(number)) => number.to_string(),
        Some(Data::Int(number)) => number.to_string(),
        Some(Data::Bool(yes)) => if *yes { "TRUE" } else { "FALSE" }.to_owned(),
        Some(Data::DateTime(day)) => {
            let (y, m, d, ..) = day.to_ymd_hms_milli();
            format!("{y:04}-{m:02}-{d:02}")
        }
        Some(other) => panic!("{other:?}"),
    };
    (0..=last).map(|row| (0..width as u32).map(|column| value(row, column)).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_workbook_is_read_as_others_read_it(rows in prop::collection::vec(prop::collection::vec(value(), 2..6), 1..20)) {
        let bytes = written(&rows);
        let is_empty = rows.iter().flatten().all(|value| matches!(value, Value::None));
        // By its number, as an empty sheet is none that is meant.
        let wanted = Wanted { sheet: Some("#1".to_owned()), decimal: Some(gristmill_pipelines::Decimal::Point), ..Wanted::default() };
        let (_, text) = read_as(&bytes, wanted, LIMITS).unwrap();
        prop_assert_eq!(text.is_empty(), is_empty);
        let width = text_width(&rows);
        prop_assume!(width > 1);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let read: Vec<Vec<String>> = reader
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect();
        let expected: Vec<Vec<String>> =
            expected(&bytes, width).into_iter().filter(|row| row.iter().any(|cell| !cell.is_empty())).collect();
        prop_assert_eq!(read.len(), expected.len());
        for (read, expected) in read.iter().zip(&expected) {
            prop_assert_eq!(read.len(), width);
            for (read, expected) in read.iter().zip(expected) {
                let same_number = matches!((read.parse::<f64>(), expected.parse::<f64>()), (Ok(a), Ok(b)) if a == b);
                prop_assert!(read == expected || same_number, "{:?} {:?}", read, expected);
            }
        }
    }
}

/// Places up to the last cell of any row that holds something.
fn text_width(rows: &[Vec<Value>]) -> usize {
    let width =
        |row: &Vec<Value>| row.iter().rposition(|value| !matches!(value, Value::None)).map_or(0, |last| last + 1);
    rows.iter().map(width).max().unwrap_or_default()
}
