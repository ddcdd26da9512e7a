//! Words that say what is sold, or what a bank does, and not by whom.

/// As [`fold`](super::fold::fold) writes them.
const WORDS: &[&str] = &[
    "a",
    "and",
    "anuidade",
    "atm",
    "bakery",
    "bar",
    "barber",
    "beer",
    "burger",
    "cafe",
    "cash",
    "charge",
    "cinema",
    "clinic",
    "coffee",
    "convenience",
    "credit",
    "credito",
    "da",
    "de",
    "debit",
    "debito",
    "deposit",
    "diner",
    "do",
    "drogaria",
    "drugstore",
    "e",
    "estacionamento",
    "farmacia",
    "fee",
    "fees",
    "flowers",
    "food",
    "fuel",
    "garage",
    "gas",
    "grocery",
    "gym",
    "hamburgueria",
    "hotel",
    "interest",
    "iof",
    "juros",
    "lanchonete",
    "laundry",
    "loja",
    "lojas",
    "market",
    "mercado",
    "mercearia",
    "motel",
    "multa",
    "o",
    "padaria",
    "pagamento",
    "papelaria",
    "parking",
    "payment",
    "pharmacy",
    "pizza",
    "pizzaria",
    "posto",
    "pub",
    "purchase",
    "recebido",
    "refund",
    "restaurant",
    "restaurante",
    "salon",
    "saque",
    "school",
    "shop",
    "store",
    "supermarket",
    "supermercado",
    "sushi",
    "tarifa",
    "taxi",
    "tea",
    "the",
    "transfer",
    "transferencia",
    "withdrawal",
];

/// Whether there is nothing but such words.
pub(super) fn is_generic(words: &str) -> bool {
    let mut words = words.split_whitespace().peekable();
    words.peek().is_some() && words.all(|word| WORDS.binary_search(&word).is_ok())
}

#[cfg(test)]
mod tests {
    use super::{WORDS, is_generic};

    #[test]
    fn words_are_in_order_and_each_is_generic() {
        assert!(WORDS.is_sorted());
        assert!(is_generic("pizza") && is_generic("the bakery") && !is_generic("pizza hut") && !is_generic(""));
    }
}
