//! Records of the kind, good and bad: those of real files, and each dirt and fault that is known.

use crate::{Bad, ReasonCode, Samples};

pub(crate) const SAMPLES: Samples = Samples {
    header: "service date,\"submitted procedure\",quadrant,\"Plan/Group #\",Subscriber#,\"Provider NPI\",\"provider fees\",\
             \"Allowed fees\",\"member coinsurance\",\"member copay\"",
    good: &[
        "3/28/18 0:00,D0180,,GRP-1000,3730189502,1497775530,$100.00 ,$100.00 ,$0.00 ,$0.00 ",
        "3/28/18 0:00,D0210,,GRP-1000,3730189502,1497775530,$108.00 ,$108.00 ,$0.00 ,$0.00 ",
        "3/28/18 0:00,D4346,,GRP-1000,3730189502,1497775530,$130.00 ,$65.00 ,$16.25 ,$0.00 ",
        "3/28/18 0:00,D4211,UR,GRP-1000,3730189502,1497775530,$178.00 ,$178.00 ,$35.60 ,$0.00 ",
        "2024-02-29, D0120 , LL ,GRP 7,ABC-1,1234567890,\"$1,234.50\",1234.5,($3.00),-1",
        "12/31/1999 11:59 PM,D9999,upper right,Größe,\"a,b\",0000000000,0,0,0,0",
        "2018-03-28 00:00:00+00,D0180,,GRP-1,\u{a0}A-1\u{200b},1497775530,$(5.00),$ -,-,\"$\u{a0}1,100.000\"",
        "1/2/03,D0001,,\"Two\r\nlines\",1,1497775530,$0.01,$19.99,$0,$0",
    ],
    bad: &[
        bad(b"3/28/18,D0180,,G,1,1497775530,1,1,0", None, ReasonCode::TooFewColumns),
        bad(b"3/28/18,D0180,,G,1,1497775530,$1,234.50,1,0,0", None, ReasonCode::TooManyColumns),
        bad(b",D0180,,G,1,1497775530,1,1,0,0", Some("service date"), ReasonCode::MissingField),
        bad(b"3/28/18,,,G,1,1497775530,1,1,0,0", Some("submitted procedure"), ReasonCode::MissingField),
        bad(b"3/28/18,D0180,, ,1,1497775530,1,1,0,0", Some("Plan/Group #"), ReasonCode::MissingField),
        bad(b"3/28/18,D0180,,G,,1497775530,1,1,0,0", Some("Subscriber#"), ReasonCode::MissingField),
        bad(b"3/28/18,D0180,,G,1,,1,1,0,0", Some("Provider NPI"), ReasonCode::MissingField),
        bad(b"3/28/18,D0180,,G,1,1497775530,,1,0,0", Some("provider fees"), ReasonCode::MissingField),
        bad(b"3/28/18,D0180,,G,1,1497775530,1,1,0,", Some("member copay"), ReasonCode::MissingField),
        bad(b"28/3/18,D0180,,G,1,1497775530,1,1,0,0", Some("service date"), ReasonCode::BadDate),
        bad(b"0024-03-28,D0180,,G,1,1497775530,1,1,0,0", Some("service date"), ReasonCode::BadDate),
        bad(b"3/28/1824,D0180,,G,1,1497775530,1,1,0,0", Some("service date"), ReasonCode::BadDate),
        bad(b"1899-12-31,D0180,,G,1,1497775530,1,1,0,0", Some("service date"), ReasonCode::BadDate),
        bad(b"3/28/18 25:00,D0180,,G,1,1497775530,1,1,0,0", Some("service date"), ReasonCode::BadDate),
        bad(b"3/28/18,X0180,,G,1,1497775530,1,1,0,0", Some("submitted procedure"), ReasonCode::BadProcedure),
        bad(b"3/28/18,D018,,G,1,1497775530,1,1,0,0", Some("submitted procedure"), ReasonCode::BadProcedure),
        bad(b"3/28/18,D01801,,G,1,1497775530,1,1,0,0", Some("submitted procedure"), ReasonCode::BadProcedure),
        bad(b"3/28/18,D\xff180,,G,1,1497775530,1,1,0,0", Some("submitted procedure"), ReasonCode::NotUtf8),
        bad(b"3/28/18,D0180,,G\xff,1,1497775530,1,1,0,0", Some("Plan/Group #"), ReasonCode::NotUtf8),
        bad(b"3/28/18,D0180,,G,a\0b,1497775530,1,1,0,0", Some("Subscriber#"), ReasonCode::NulByte),
        bad(b"3/28/18,D0180,,G,3.73E+09,1497775530,1,1,0,0", Some("Subscriber#"), ReasonCode::BadId),
        bad(b"3/28/18,D0180,,1E+10,1,1497775530,1,1,0,0", Some("Plan/Group #"), ReasonCode::BadId),
        bad(b"3/28/18,D0180,,G,1,1.50E+09,1,1,0,0", Some("Provider NPI"), ReasonCode::BadId),
        bad(b"3/28/18,D0180,,\xc2\xa0,1,1497775530,1,1,0,0", Some("Plan/Group #"), ReasonCode::MissingField),
        bad(b"3/28/18,D0180,,G,1,149777553,1,1,0,0", Some("Provider NPI"), ReasonCode::BadNpi),
        bad(b"3/28/18,D0180,,G,1,149777553X,1,1,0,0", Some("Provider NPI"), ReasonCode::BadNpi),
        bad(b"3/28/18,D0180,,G,1,1497775530,free,1,0,0", Some("provider fees"), ReasonCode::BadAmount),
        bad(b"3/28/18,D0180,,G,1,1497775530,1,1.000,0,0", Some("Allowed fees"), ReasonCode::BadAmount),
        bad(b"3/28/18,D0180,,G,1,1497775530,1,1.999,0,0", Some("Allowed fees"), ReasonCode::BadAmount),
        bad(b"3/28/18,D0180,,G,1,1497775530,1,1,\"1,00\",0", Some("member coinsurance"), ReasonCode::BadAmount),
        bad(b"3/28/18,D0180,,G,1,1497775530,1,1,0,10000000000", Some("member copay"), ReasonCode::BadAmount),
        bad(
            b"3/28/18,D0180,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,G,1,1497775530,1,1,0,0",
            Some("quadrant"),
            ReasonCode::FieldTooLong,
        ),
    ],
};

const fn bad(record: &'static [u8], column: Option<&'static str>, code: ReasonCode) -> Bad {
    Bad { record, column, code }
}
