//! What many values say together.

use crate::{DateOrder, Decimal, Example, Question};

use super::{amount::Amount, date::Day, told};

/// Of so many values one must be written with marks, or those that mean two things are a matter of their rows.
const ONE_IN: u64 = 100;

/// A column's value, and its name.
pub(super) type Shown = (&'static str, Example);

/// How many values of each class there are, and the first of each.
#[derive(Debug)]
pub(super) struct Votes<C> {
    values: u64,
    classes: Vec<(C, u64, Shown)>,
}

impl<C> Default for Votes<C> {
    fn default() -> Self {
        Self { values: 0, classes: Vec::new() }
    }
}

impl<C: Copy + PartialEq> Votes<C> {
    pub(super) fn cast(&mut self, class: C, shown: impl FnOnce() -> Shown) {
        self.values += 1;
        match self.classes.iter_mut().find(|(of, ..)| *of == class) {
            Some((_, count, _)) => *count += 1,
            None => self.classes.push((class, 1, shown())),
        }
    }

    fn count(&self, class: C) -> u64 {
        self.classes.iter().find(|(of, ..)| *of == class).map_or(0, |(_, count, _)| *count)
    }

    pub(super) fn has(&self, class: C) -> bool {
        self.first(class).is_some()
    }

    fn first(&self, class: C) -> Option<&Shown> {
        self.classes.iter().find(|(of, ..)| *of == class).map(|(.., shown)| shown)
    }

    fn example(&self, class: C) -> Option<Example> {
        self.first(class).map(|(_, example)| example.clone())
    }

    /// Whether so many mean two things that it is not a matter of their rows: two, and half of all.
    fn mostly(&self, open: u64) -> bool {
        open >= 2 && 2 * open >= self.values
    }

    /// Whether hardly any says anything, and some mean two things, or may, where not all were looked at: one stray value does
    /// not decide over them.
    fn is_stray(&self, says: u64, open: u64, whole: bool) -> bool {
        (open > 0 || !whole) && (says + open) * ONE_IN < self.values
    }
}

impl Votes<Amount> {
    /// What is to be said of the decimal mark. `whole`: there are no other values.
    pub(super) fn question(&self, asks: bool, whole: bool) -> Option<Question> {
        let open = self.first(Amount::Open);
        if !asks || self.is_stray(self.marked(), self.count(Amount::Open), whole) {
            return None;
        }
        match (self.points(), self.first(Amount::Comma)) {
            // what the kind reads by its own rule is read as one thing, whatever follows
            (Some(_), Some(_)) if open.is_none() && (whole || self.decimal(asks, whole).is_none()) => None,
            (Some((_, point)), Some((_, comma))) => {
                let open = open.map(|(_, example)| example.clone());
                Some(told::two_ways("Amounts", "decimal", [point.clone(), comma.clone()], open, &["comma", "point"]))
            }
            (None, None) if self.mostly(self.count(Amount::Open)) => {
                open.and_then(|(column, example)| told::open_amount(column, example))
            }
            _ => None,
        }
    }

    /// The decimal mark that the values have, if the kind's own rule does not read them all.
    pub(super) fn decimal(&self, asks: bool, whole: bool) -> Option<(Decimal, Example)> {
        let (open, comma) = (self.count(Amount::Open), self.count(Amount::Comma));
        let point = self.marked() - comma;
        if self.is_stray(self.marked(), open, whole) || !asks && point + open > 0 {
            return None;
        }
        if comma > point || comma > 0 && comma == point && self.is_first(Amount::Comma) {
            return Some((Decimal::Comma, self.example(Amount::Comma)?));
        }
        let needed = self.count(Amount::Thousands) > 0 || point > 0 && open > 0;
        let shown = self.points().filter(|_| needed)?;
        Some((Decimal::Point, shown.1.clone()))
    }

    /// How many values say something.
    fn marked(&self) -> u64 {
        self.count(Amount::Point) + self.count(Amount::Thousands) + self.count(Amount::Comma)
    }

    fn points(&self) -> Option<&Shown> {
        self.classes.iter().find(|(of, ..)| matches!(of, Amount::Point | Amount::Thousands)).map(|(.., shown)| shown)
    }

    fn is_first(&self, class: Amount) -> bool {
        let says = |of: &Amount| matches!(of, Amount::Point | Amount::Thousands | Amount::Comma);
        self.classes.iter().find(|(of, ..)| says(of)).is_some_and(|(of, ..)| *of == class)
    }
}

const ORDERS: [DateOrder; 3] = [DateOrder::Dmy, DateOrder::Mdy, DateOrder::Ymd];

impl Votes<Day> {
    /// What is to be said of the order of dates. `whole`: there are no other ones.
    pub(super) fn question(&self, asks: bool, whole: bool) -> Option<Question> {
        let count = self.count(Day::Open) + self.count(Day::Short);
        if !asks || self.is_stray(self.said(), count, whole) {
            return None;
        }
        let open = self.first(Day::Open).or(self.first(Day::Short));
        let said: Vec<(DateOrder, Example)> =
            ORDERS.iter().filter_map(|order| Some((*order, self.example(Day::Says(*order))?))).collect();
        match &said[..] {
            [] if self.mostly(count) => match self.first(Day::Short) {
                Some((_, example)) => Some(told::short_year(example)),
                None => open.and_then(|(column, example)| told::open_date(column, example)),
            },
            [(one, first), (other, second), ..] if open.is_some() || !whole => {
                let choices = [one.to_string(), other.to_string()];
                let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
                let open = open.map(|(_, example)| example.clone());
                Some(told::two_ways("Dates", "dates", [first.clone(), second.clone()], open, &choices))
            }
            _ => None,
        }
    }

    /// The order that the dates have, if they are not all as the kind's own rule reads them. `whole`: there are no others.
    pub(super) fn order(&self, asks: bool, whole: bool) -> Option<(DateOrder, Example)> {
        let says = |order: DateOrder| self.count(Day::Says(order));
        let open = self.count(Day::Open) + self.count(Day::Short);
        let all = self.said();
        let most = ORDERS.into_iter().rev().max_by_key(|order| says(*order))?;
        if all > 0 {
            // a claim's own rule is the month first, and reads what is open
            let only = asks || most == DateOrder::Dmy && says(most) == all && open == 0;
            let decided = only && !self.is_stray(all, open, whole);
            return decided.then(|| Some((most, self.example(Day::Says(most))?))).flatten();
        }
        if open > 0 || !asks {
            return None;
        }
        let shown = |class, order| Some((order, self.example(class)?));
        shown(Day::YearFirst, DateOrder::Ymd).or_else(|| shown(Day::Same, DateOrder::Dmy).filter(|_| whole))
    }

    /// How many values say something.
    fn said(&self) -> u64 {
        ORDERS.iter().map(|order| self.count(Day::Says(*order))).sum()
    }
}
