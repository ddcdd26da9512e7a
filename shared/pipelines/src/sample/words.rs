//! Numbers in words.

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// A number below a million.
pub(super) fn words(number: usize) -> String {
    let tail = |rest: usize| match rest {
        0 => String::new(),
        1..100 => format!(" and {}", words(rest)),
        _ => format!(" {}", words(rest)),
    };
    match number {
        0..20 => SMALL[number].to_owned(),
        20..100 if number.is_multiple_of(10) => TENS[number / 10].to_owned(),
        20..100 => format!("{}-{}", TENS[number / 10], SMALL[number % 10]),
        100..1000 => format!("{} hundred{}", SMALL[number / 100], tail(number % 100)),
        _ => format!("{} thousand{}", words(number / 1000), tail(number % 1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn numbers_are_words() {
        for (number, said) in [
            (1_234, "one thousand two hundred and thirty-four"),
            (1_000, "one thousand"),
            (10_500, "ten thousand five hundred"),
            (20_040, "twenty thousand and forty"),
            (999_999, "nine hundred and ninety-nine thousand nine hundred and ninety-nine"),
        ] {
            assert_eq!(words(number), said);
        }
    }
}
