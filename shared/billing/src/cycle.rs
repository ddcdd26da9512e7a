use jiff::civil::{Date, Weekday};
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
    /// Whether `today` is a day to bill. `day` is 1 (Monday) to 7 of a week, or a day of the month; of a shorter month
    /// the last one.
    #[must_use]
    pub fn is_due(self, day: i32, today: Date) -> bool {
        match self {
            Self::Daily => true,
            Self::Weekly => i32::from(today.weekday().to_monday_one_offset()) == day.min(7),
            Self::Monthly => i32::from(today.day()) == day.min(i32::from(today.days_in_month())),
        }
    }

    /// The first day of the period that `today` is in: itself, its Monday, or the first of its month.
    #[must_use]
    pub fn period(self, today: Date) -> Date {
        match self {
            Self::Daily => today,
            Self::Weekly => {
                let back = today.weekday().since(Weekday::Monday);
                today.checked_sub(jiff::Span::new().days(i64::from(back))).unwrap_or(Date::MIN)
            }
            Self::Monthly => today.first_of_month(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_month_shorter_than_the_day_bills_on_its_last() {
        let due = |day, month, of| Cycle::Monthly.is_due(day, date(2028, month, of));
        assert!(due(31, 2, 29) && !due(31, 2, 28), "a leap year");
        assert!(Cycle::Monthly.is_due(31, date(2027, 2, 28)));
        assert!(due(31, 4, 30) && due(31, 1, 31) && !due(31, 1, 30) && due(1, 1, 1));
    }

    #[test]
    fn a_week_begins_on_monday() {
        assert!(Cycle::Weekly.is_due(5, date(2026, 11, 27)));
        assert!(!Cycle::Weekly.is_due(4, date(2026, 11, 27)));
        assert_eq!(Cycle::Weekly.period(date(2026, 11, 27)), date(2026, 11, 23));
        assert_eq!(Cycle::Weekly.period(date(2027, 1, 3)), date(2026, 12, 28));
        assert_eq!(Cycle::Monthly.period(date(2026, 11, 27)), date(2026, 11, 1));
        assert_eq!(Cycle::Daily.period(date(2026, 11, 27)), date(2026, 11, 27));
    }
}
