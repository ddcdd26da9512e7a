//! Records of the kind, good and bad.

use crate::{Bad, ReasonCode, Samples};

pub(crate) const SAMPLES: Samples = Samples {
    header: "date,description,amount,currency,id",
    good: &[
        "2021-04-01,Payment Netflix APRIL***,12.99,USD,t-1",
        "2021-04-01,SQ *BLUE BOTTLE COFFEE 4421 OAKLAND CA,-4.5,,t-2",
        " 2024-02-29 ,\"UBER   *TRIP, HELP\",\t+7 , BRL , t-3 ",
        "2021-04-01,\"He said \"\"no\"\"\",0,EUR,t-4",
        "2021-04-01,\"Two\r\nlines\",1,EUR,t-5",
        "2021-04-01,PÃO DE AÇÚCAR 0123,1.00,BRL,ção",
        "2021-04-01T00:00:00,x,+12.9900,brl,t-7",
        "\u{a0}2021-04-01 00:00:00+00\u{200b},x,-9999999999.99,,t-8",
        "2021-04-01,nobody that is known,99999999.99,BRL,t-6",
    ],
    bad: &[
        bad(b"2021-04-01,x,1", None, ReasonCode::TooFewColumns),
        bad(b"2021-04-01,x, y,1,USD,t", None, ReasonCode::TooManyColumns),
        bad(b"01/04/2021,x,1,USD,t", Some("date"), ReasonCode::BadDate),
        bad(b",x,1,USD,t", Some("date"), ReasonCode::MissingField),
        bad(b"2021-04-01, ,1,USD,t", Some("description"), ReasonCode::MissingField),
        bad(b"2021-04-01,Jos\xe9,1,USD,t", Some("description"), ReasonCode::NotUtf8),
        bad(b"2021-04-01,a\0b,1,USD,t", Some("description"), ReasonCode::NulByte),
        bad(b"2021-04-01,x,,USD,t", Some("amount"), ReasonCode::MissingField),
        bad(b"2021-04-01,x,-1.000,USD,t", Some("amount"), ReasonCode::BadAmount),
        bad(b"2021-04-01,x,1.999,USD,t", Some("amount"), ReasonCode::BadAmount),
        bad(b"2021-04-01,x,-,USD,t", Some("amount"), ReasonCode::BadAmount),
        bad(b"2021-04-01,x,--1,USD,t", Some("amount"), ReasonCode::BadAmount),
        bad(b"2021-04-01,x,1,us,t", Some("currency"), ReasonCode::BadCurrency),
        bad(b"2021-04-01 12:00,x,1,USD,t", Some("date"), ReasonCode::BadDate),
        bad(b"2021-04-01,x,10000000000,USD,t", Some("amount"), ReasonCode::BadAmount),
        bad(b"2021-04-01,\xc2\xa0,1,USD,t", Some("description"), ReasonCode::MissingField),
        bad(b"2021-04-01,x,1,USD,1.23E+10", Some("id"), ReasonCode::BadId),
        bad(b"2021-04-01,x,1,R$,t", Some("currency"), ReasonCode::BadCurrency),
        bad(b"2021-04-01,x,1,USD,", Some("id"), ReasonCode::MissingField),
    ],
};

const fn bad(record: &'static [u8], column: Option<&'static str>, code: ReasonCode) -> Bad {
    Bad { record, column, code }
}
