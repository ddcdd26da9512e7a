//! What a date says of the order of its file's dates.

use crate::{
    DateOrder, Kind,
    fields::{date, day_in_order},
};

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Day {
    /// It is `YYYY-MM-DD`, which is read in every file.
    Iso,
    /// Its year stands first, with other marks than that: `2024/12/31`.
    YearFirst,
    /// It is one in this order only: `31/12/2024`, `12/31/2024`.
    Says(DateOrder),
    /// It is the same day in each: `05/05/2024`.
    Same,
    /// It is another day in each: `01/02/2024`.
    Open,
    /// The same, and its year may stand first, too: `31/12/24`.
    Short,
    /// It is no date.
    None,
}

pub(super) fn read(text: &[u8], kind: Kind) -> Day {
    if date(text).is_some() {
        return Day::Iso;
    }
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'T')).unwrap_or(text.len());
    let text = &text[..end];
    let day = |order| day_in_order(text, order, |year| 2000 + year);
    let parts = text.split(|byte| matches!(byte, b'/' | b'-' | b'.')).map(<[u8]>::len).collect::<Vec<_>>();
    let short = match parts[..] {
        [4, _, _] => return if day(DateOrder::Ymd).is_some() { Day::YearFirst } else { Day::None },
        // a claim's year stands last
        [_, _, 2] => kind != Kind::Claims,
        _ => false,
    };
    let orders: &[DateOrder] = if short { DateOrder::ALL } else { &[DateOrder::Dmy, DateOrder::Mdy] };
    let days: Vec<(DateOrder, i32)> = orders.iter().filter_map(|order| Some((*order, day(*order)?))).collect();
    match days[..] {
        [] => Day::None,
        [(order, _)] => Day::Says(order),
        [(_, first), ref others @ ..] if others.iter().all(|(_, other)| *other == first) => Day::Same,
        _ if short && days.iter().any(|(order, _)| *order == DateOrder::Ymd) => Day::Short,
        _ => Day::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_say_in_which_order_they_are() {
        let (dmy, mdy, ymd) = (Day::Says(DateOrder::Dmy), Day::Says(DateOrder::Mdy), Day::Says(DateOrder::Ymd));
        for (text, says, claims) in [
            ("2024-12-31", Day::Iso, Day::Iso),
            ("2024-12-31T00:00:00Z", Day::Iso, Day::Iso),
            ("2024/12/31", Day::YearFirst, Day::YearFirst),
            ("2024-1-5", Day::YearFirst, Day::YearFirst),
            ("2024.13.05", Day::None, Day::None),
            ("31/12/2024", dmy, dmy),
            ("31.12.2024", dmy, dmy),
            ("31-12-2024 00:00", dmy, dmy),
            ("12/31/2024", mdy, mdy),
            ("5/31/2024 11:00 PM", mdy, mdy),
            ("05/05/2024", Day::Same, Day::Same),
            ("05/05/05", Day::Same, Day::Same),
            ("01/02/2024", Day::Open, Day::Open),
            ("31/12/99", dmy, dmy),
            ("31/12/24", Day::Short, dmy),
            ("13/02/24", Day::Short, dmy),
            ("01/02/24", Day::Short, Day::Open),
            ("01/02/99", Day::Open, Day::Open),
            ("12/31/24", mdy, mdy),
            ("99/12/31", ymd, Day::None),
            ("31/02/2024", Day::None, Day::None),
            ("45657", Day::None, Day::None),
            ("20241231", Day::None, Day::None),
            ("Dec 31, 2024", Day::None, Day::None),
            ("debtDueDate", Day::None, Day::None),
        ] {
            assert_eq!(read(text.as_bytes(), Kind::Debts), says, "{text}");
            assert_eq!(read(text.as_bytes(), Kind::Claims), claims, "{text} of a claim");
        }
    }
}
