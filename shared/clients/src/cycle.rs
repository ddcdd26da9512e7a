use jiff::{
    Span,
    civil::{Date, Weekday},
};
use serde::{Deserialize, Serialize};

/// How often a client bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Cycle {
    /// Every day.
    Daily,
    /// On one day of the week.
    Weekly,
    /// On one day of the month.
    Monthly,
}

impl Cycle {
    /// The latest day to bill, `today` or before. `day` is 1 (Monday) to 7 of a week, or a day of the month; of a shorter
    /// month the last one.
    #[must_use]
    pub fn latest(self, day: i32, today: Date) -> Date {
        match self {
            Self::Daily => today,
            Self::Weekly => {
                let back = i32::from(today.weekday().to_monday_one_offset()) - day.clamp(1, 7);
                today.saturating_sub(Span::new().days(back.rem_euclid(7)))
            }
            Self::Monthly => {
                let this = of_month(day, today);
                if this <= today {
                    this
                } else {
                    of_month(day, today.first_of_month().saturating_sub(Span::new().days(1)))
                }
            }
        }
    }

    /// The first day of the period that `today` is in: itself, its Monday, or the first of its month.
    #[must_use]
    pub fn period(self, today: Date) -> Date {
        match self {
            Self::Daily => today,
            Self::Weekly => {
                let back = today.weekday().since(Weekday::Monday);
                today.saturating_sub(Span::new().days(back))
            }
            Self::Monthly => today.first_of_month(),
        }
    }
}

/// This day of the month that `any` is in, or its last one.
fn of_month(day: i32, any: Date) -> Date {
    any.first_of_month().saturating_add(Span::new().days(day.clamp(1, i32::from(any.days_in_month())) - 1))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_month_shorter_than_the_day_bills_on_its_last() {
        let latest = |day, month, of| Cycle::Monthly.latest(day, date(2028, month, of));
        assert_eq!(latest(31, 2, 29), date(2028, 2, 29), "a leap year");
        assert_eq!(latest(31, 2, 28), date(2028, 1, 31));
        assert_eq!(Cycle::Monthly.latest(31, date(2027, 2, 28)), date(2027, 2, 28));
        assert_eq!((latest(31, 4, 30), latest(31, 1, 30)), (date(2028, 4, 30), date(2027, 12, 31)));
        assert_eq!((latest(1, 1, 1), latest(2, 1, 1)), (date(2028, 1, 1), date(2027, 12, 2)));
    }

    #[test]
    fn a_week_begins_on_monday() {
        let friday = date(2026, 11, 27);
        assert_eq!(Cycle::Weekly.latest(5, friday), friday);
        assert_eq!(Cycle::Weekly.latest(4, friday), date(2026, 11, 26));
        assert_eq!(Cycle::Weekly.latest(6, friday), date(2026, 11, 21));
        assert_eq!(Cycle::Daily.latest(6, friday), friday);
        assert_eq!(Cycle::Weekly.period(friday), date(2026, 11, 23));
        assert_eq!(Cycle::Weekly.period(date(2027, 1, 3)), date(2026, 12, 28));
        assert_eq!(Cycle::Monthly.period(friday), date(2026, 11, 1));
        assert_eq!(Cycle::Daily.period(friday), friday);
    }
}
