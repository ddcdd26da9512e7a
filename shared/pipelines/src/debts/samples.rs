//! Records of the kind, good and bad: those of real files, and each dirt and fault that is known.

use crate::{Bad, ReasonCode, Samples};

pub(crate) const SAMPLES: Samples = Samples {
    header: "name,governmentId,email,debtAmount,debtDueDate,debtId",
    good: &[
        "Elijah Santos,9558,janet95@example.com,7811,2024-01-19,ea23f2ca-663a-4266-a742-9da4c9f4fcb3",
        "John Doe,11111111111,johndoe@kanastra.com.br,1000000.00,2022-10-12,1adb6ccf-ff16-467f-bea7-5f05d494280f ",
        "  Ana Lima ,\t1234, ana@example.org , 19.99 , 2024-02-29 , 00000000-0000-4000-8000-000000000001\t",
        "José da Conceição,52998224725,josé@exämple.com.br,0.01,2022-12-31,00000000-0000-4000-8000-000000000002",
        "\"Silva, Maria\",\"1234\",\"maria@example.com\",\"10.5\",\"2023-06-01\",\"00000000-0000-4000-8000-000000000003\"",
        "\"He said \"\"no\"\"\",12ABC34501DE35,x@example.com,1,2023-06-01,00000000-0000-4000-8000-000000000004",
        "\"Two\r\nlines\",1,x@example.com,1,2023-06-01,00000000-0000-4000-8000-000000000005",
        "Upper Case,1,X@EXAMPLE.COM,1,2023-06-01,ABCDEF00-0000-4000-8000-00000000000A",
        "\u{feff}Databases\u{a0},\u{200b}9558\u{3000},x@example.com\u{a0},+10.5000,2024-12-31 00:00:00,\u{a0}00000000-0000-4000-8000-000000000007",
        "Longest amount,1,x@example.com,9999999999.99,2024-12-31T00:00:00Z,00000000-0000-4000-8000-000000000008",
        "O\"Neil,1,x@example.com,1,2023-06-01,00000000-0000-4000-8000-000000000006",
    ],
    bad: &[
        bad(b"A,1,a@b.c,1,2024-01-19", None, ReasonCode::TooFewColumns),
        bad(b"x", None, ReasonCode::TooFewColumns),
        bad(
            b"Silva, Maria,1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000",
            None,
            ReasonCode::TooManyColumns,
        ),
        bad(b"Jos\xe9,1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000", Some("name"), ReasonCode::NotUtf8),
        bad(b"A,1,a@b.c,1,2024-01-19,\xff", Some("debtId"), ReasonCode::NotUtf8),
        bad(b"A\0B,1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000", Some("name"), ReasonCode::NulByte),
        bad(b"A,1,a@b.c,1\0,2024-01-19,00000000-0000-4000-8000-000000000000", Some("debtAmount"), ReasonCode::NulByte),
        bad(b",1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000", Some("name"), ReasonCode::MissingField),
        bad(
            b"A, ,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000",
            Some("governmentId"),
            ReasonCode::MissingField,
        ),
        bad(b"A,1,,1,2024-01-19,00000000-0000-4000-8000-000000000000", Some("email"), ReasonCode::MissingField),
        bad(
            b"A,1,a@b.c,\"\",2024-01-19,00000000-0000-4000-8000-000000000000",
            Some("debtAmount"),
            ReasonCode::MissingField,
        ),
        bad(b"A,1,a@b.c,1,,00000000-0000-4000-8000-000000000000", Some("debtDueDate"), ReasonCode::MissingField),
        bad(b"A,1,a@b.c,1,2024-01-19,", Some("debtId"), ReasonCode::MissingField),
        bad(
            b"A,123456789012345678901234567890123,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000",
            Some("governmentId"),
            ReasonCode::FieldTooLong,
        ),
        bad(b"A,1,a@b.c,1,2024-01-19,ea23f2ca663a4266a7429da4c9f4fcb3", Some("debtId"), ReasonCode::BadUuid),
        bad(b"A,1,a@b.c,1,2024-01-19,ea23f2ca-663a-4266-a742-9da4c9f4fcbg", Some("debtId"), ReasonCode::BadUuid),
        bad(b"A,1,a@b.c,0,2024-01-19,00000000-0000-4000-8000-000000000000", Some("debtAmount"), ReasonCode::BadAmount),
        bad(
            b"A,1,a@b.c,\"1,000.00\",2024-01-19,00000000-0000-4000-8000-000000000000",
            Some("debtAmount"),
            ReasonCode::BadAmount,
        ),
        bad(
            b"A,1,a@b.c,1.000,2024-01-19,00000000-0000-4000-8000-000000000000",
            Some("debtAmount"),
            ReasonCode::BadAmount,
        ),
        bad(b"A,1,a@b.c,-1,nonsense,00000000-0000-4000-8000-000000000000", Some("debtAmount"), ReasonCode::BadAmount),
        bad(b"A,1,a@b.c,1,2023-02-29,00000000-0000-4000-8000-000000000000", Some("debtDueDate"), ReasonCode::BadDate),
        bad(b"A,1,a@b.c,1,19/01/2024,00000000-0000-4000-8000-000000000000", Some("debtDueDate"), ReasonCode::BadDate),
        bad(b"A,1,a.b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000", Some("email"), ReasonCode::BadEmail),
        bad(
            b"A,1.23E+10,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000",
            Some("governmentId"),
            ReasonCode::BadGovernmentId,
        ),
        bad(
            b"A,\"1,23E+10\",a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000",
            Some("governmentId"),
            ReasonCode::BadGovernmentId,
        ),
        bad(
            b"\xc2\xa0,1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000",
            Some("name"),
            ReasonCode::MissingField,
        ),
        bad(b"A,1,<a@b.c>,1,2024-01-19,00000000-0000-4000-8000-000000000000", Some("email"), ReasonCode::BadEmail),
        bad(b"A,1,a..b@c.d,1,2024-01-19,00000000-0000-4000-8000-000000000000", Some("email"), ReasonCode::BadEmail),
        bad(
            b"A,1,a@b.c,10000000000,2024-01-19,00000000-0000-4000-8000-000000000000",
            Some("debtAmount"),
            ReasonCode::BadAmount,
        ),
        bad(
            b"A,1,a@b.c,1,2024-01-19 10:00,00000000-0000-4000-8000-000000000000",
            Some("debtDueDate"),
            ReasonCode::BadDate,
        ),
        bad(b"A,1,a b@c.d,1,2024-01-19,00000000-0000-4000-8000-000000000000", Some("email"), ReasonCode::BadEmail),
    ],
};

const fn bad(record: &'static [u8], column: Option<&'static str>, code: ReasonCode) -> Bad {
    Bad { record, column, code }
}
