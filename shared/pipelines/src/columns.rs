//! Which of a file's columns are which of the kind's: by what somebody said, by their names, by words for them.

mod said;

pub(crate) use said::pair;
pub use said::{BadColumns, Columns};

use crate::{
    Kind, Question,
    names::{aliases, plain, shown},
    question::Example,
};
use said::Which;

/// The columns of a kind in a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// For each column of the kind its place in the header, if it has one.
    pub(crate) places: Vec<Option<usize>>,
    /// Columns that the kind needs and that were not found.
    pub(crate) missing: Vec<&'static str>,
    /// Columns that the header names more than once.
    pub(crate) duplicate: Vec<&'static str>,
    /// Columns that several names may mean.
    doubtful: Vec<(&'static str, Vec<String>)>,
    /// What was said and is not there.
    pub(crate) not_there: Option<String>,
    /// All that were found have their own names, so whoever reads the header finds them again.
    pub(crate) plain: bool,
}

impl Resolved {
    /// Whether each column has one place.
    #[cfg(test)]
    fn is_whole(&self) -> bool {
        self.names_all() && self.duplicate.is_empty() && self.doubtful.is_empty()
    }

    /// Whether no column is missing, whatever else is wrong.
    pub(crate) fn names_all(&self) -> bool {
        self.missing.is_empty() && self.not_there.is_none()
    }

    /// How many columns have a place, or several.
    pub(crate) fn found(&self) -> usize {
        self.places.iter().flatten().count() + self.doubtful.len()
    }

    /// What is to be said where several names may mean one column, on this line.
    pub(crate) fn question(&self, line: u64) -> Option<Question> {
        let (column, names) = self.doubtful.first()?;
        let choices: Vec<String> = names.iter().map(|name| pair(column, name)).collect();
        let sentence = format!(
            "{} may {} be {column}: send columns={}.",
            listed(names.iter().map(|name| shown(name)), " and "),
            if names.len() == 2 { "both" } else { "all" },
            listed(choices.iter().map(|choice| shown(choice)), " or columns="),
        );
        let examples = names.iter().map(|name| Example { line, value: shown(name) }).collect();
        Some(Question { parameter: "columns", choices, examples, sentence })
    }
}

/// `a, b and c`.
fn listed(names: impl Iterator<Item = String>, and: &str) -> String {
    let mut names: Vec<String> = names.collect();
    let last = names.pop().unwrap_or_default();
    if names.is_empty() { last } else { format!("{}{and}{last}", names.join(", ")) }
}

/// Finds the kind's columns among the names of a header. What was said goes before all, and a column's own name before the
/// words for it; a name serves one column. Where all needed columns have their own names, others are found by theirs only.
pub(crate) fn resolve(kind: Kind, names: &[String], said: &Columns) -> Resolved {
    let mut resolved = Resolved { plain: said.is_empty(), ..Resolved::default() };
    let mut free = names.to_vec();
    let mut found: Vec<Option<Found>> = vec![None; kind.columns().len()];
    let mut settle = |n: usize, what: Found, free: &mut Vec<String>| {
        if let Found::At(place) = what {
            free[place].clear();
        }
        found[n] = Some(what);
    };
    let mut open: Vec<(usize, &'static str)> = kind.columns().iter().copied().enumerate().collect();
    open.retain(|(n, column)| {
        let Some(which) = said.of(column) else { return true };
        settle(*n, resolved.said(column, which, names), &mut free);
        false
    });
    open.retain(|(n, column)| {
        let (Some(place), again) = called(column, &free) else { return true };
        if again {
            resolved.duplicate.push(column);
        }
        settle(*n, Found::At(place), &mut free);
        false
    });
    let needed = kind.needed_columns();
    // What names all that is needed by its own names was read before words were known, and its key must stay what it was.
    if needed.iter().all(|column| said.of(column).is_none() && !open.iter().any(|(_, of)| of == column)) {
        open.clear();
    }
    let words: Vec<String> = free.iter().map(|name| plain(name)).collect();
    open.retain(|(n, column)| {
        let aliases = aliases(kind, column);
        let mean = |place: &usize| aliases.contains(&words[*place].as_str());
        match (0..names.len()).filter(mean).collect::<Vec<_>>()[..] {
            [] => return true,
            [place] => {
                resolved.plain = false;
                settle(*n, Found::At(place), &mut free);
            }
            ref several => {
                resolved.doubtful.push((column, several.iter().map(|place| names[*place].clone()).collect()));
                settle(*n, Found::Absent, &mut free);
            }
        }
        false
    });
    resolved.missing = open.into_iter().map(|(_, column)| column).filter(|column| needed.contains(column)).collect();
    resolved.places = found.into_iter().map(|found| found?.place()).collect();
    resolved
}

impl Resolved {
    /// Where the column is that is said to be this one.
    fn said(&mut self, column: &'static str, which: &Which, names: &[String]) -> Found {
        let not_there = match which {
            Which::Absent => return Found::Absent,
            Which::Place(place) if *place < names.len() => return Found::At(*place),
            Which::Place(place) => {
                format!("columns= says that {column} is #{}, and there are {}", place + 1, names.len())
            }
            Which::Name(name) => match called(name, names) {
                (Some(place), false) => return Found::At(place),
                (Some(_), true) => {
                    self.duplicate.push(column);
                    return Found::Absent;
                }
                (None, _) => format!("columns= says that {column} is '{}', which is not there", shown(name)),
            },
        };
        self.not_there.get_or_insert(not_there);
        Found::Absent
    }
}

/// What is known of a column.
#[derive(Debug, Clone, Copy)]
enum Found {
    At(usize),
    Absent,
}

impl Found {
    fn place(self) -> Option<usize> {
        match self {
            Self::At(place) => Some(place),
            Self::Absent => None,
        }
    }
}

/// The first place that is called so, and whether another one is. A name that is exactly this goes before those that are like
/// it.
pub(crate) fn called(name: &str, names: &[String]) -> (Option<usize>, bool) {
    let exact = names.iter().any(|other| other.eq_ignore_ascii_case(name));
    let bare = plain(name);
    let is = |other: &String| if exact { other.eq_ignore_ascii_case(name) } else { plain(other) == bare };
    let mut found = names.iter().enumerate().filter(|(_, other)| is(other)).map(|(place, _)| place);
    (found.next(), found.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(header: &str) -> Vec<String> {
        header.split(',').map(str::to_owned).collect()
    }

    fn resolved(kind: Kind, header: &str, said: &str) -> Resolved {
        resolve(kind, &names(header), &Columns::read(kind, said).unwrap())
    }

    fn at<const N: usize>(places: [usize; N]) -> Vec<Option<usize>> {
        places.map(Some).to_vec()
    }

    #[test]
    fn a_columns_own_name_goes_before_words_for_it() {
        let plain = resolved(Kind::Debts, "name,governmentId,email,debtAmount,debtDueDate,debtId,id", "");
        assert!(plain.is_whole() && plain.plain);
        assert_eq!(plain.places, at([0, 1, 2, 3, 4, 5]));
        let folded = resolved(Kind::Debts, "Debt ID,name,government_id,E-mail,valor,debt amount,due date", "");
        assert!(folded.is_whole() && !folded.plain);
        assert_eq!(folded.places, at([1, 2, 3, 5, 6, 0]));
        let words = resolved(Kind::Debts, "Nome,CPF,E-mail,Valor,Vencimento,Código da dívida", "");
        assert_eq!(words.places, at([0, 1, 2, 3, 4, 5]));
        let bank = resolved(Kind::Transactions, "Data,Valor,Identificador,Descrição", "");
        assert_eq!(bank.places, [Some(0), Some(3), Some(1), None, Some(2)]);
        assert!(bank.is_whole());
        let twice = resolved(Kind::Debts, "name,name,governmentId,email,debtAmount,debtDueDate,debtId", "");
        assert_eq!((twice.duplicate.as_slice(), twice.is_whole(), twice.names_all()), (&["name"][..], false, true));
        assert_eq!(resolved(Kind::Transactions, "date,amount", "").missing, ["description"]);
    }

    #[test]
    fn what_is_optional_has_its_own_name_where_all_else_has() {
        for (kind, header, with) in [
            (Kind::Transactions, "date,description,amount,transaction_id", "date,titulo,amount,transaction_id"),
            (
                Kind::Transactions,
                "date,description,amount,identificador,moeda",
                "data,descricao,valor,identificador,moeda",
            ),
            (Kind::Messages, "id,timestamp,text,report", "id,timestamp,texto,report"),
        ] {
            let own = resolved(kind, header, "");
            assert!(own.is_whole() && own.plain, "{header}");
            let optional = |found: &Resolved| found.places[kind.needed_columns().len()..].iter().flatten().count();
            assert_eq!(optional(&own), 0, "{header}");
            assert!(optional(&resolved(kind, with, "")) > 0, "{with}");
        }
        let said = resolved(Kind::Transactions, "date,description,amount,transaction_id", "id:transaction_id");
        assert_eq!(said.places.iter().flatten().count(), 4);
        let own = resolved(Kind::Transactions, "date,description,amount,id,transaction_id", "");
        assert_eq!(own.places.iter().flatten().count(), 4);
    }

    #[test]
    fn two_words_for_one_column_are_a_question() {
        let header = "nome,cpf,email,valor,montante,vencimento,id";
        let found = resolved(Kind::Debts, header, "");
        assert!(!found.is_whole() && found.names_all());
        let question = found.question(3).unwrap();
        assert_eq!(
            question.to_string(),
            "valor and montante may both be debtAmount: send columns=debtAmount:valor or columns=debtAmount:montante."
        );
        assert_eq!(question.choices, ["debtAmount:valor", "debtAmount:montante"]);
        assert_eq!(question.examples[1], Example { line: 3, value: "montante".to_owned() });
        let three = resolved(Kind::Debts, "nome,cpf,email,valor,importe,montante,vencimento,id", "").question(1);
        assert!(
            three.unwrap().sentence.starts_with("valor, importe and montante may all be debtAmount: send columns=")
        );
        assert_eq!(resolved(Kind::Debts, header, "debtAmount:montante").places, at([0, 1, 2, 4, 5, 6]));
    }

    #[test]
    fn what_was_said_goes_before_all() {
        let header = "name,Kunde,governmentId,email,Valor Total,debtDueDate,x,id";
        let said = "name:kunde,debtAmount:VALOR_TOTAL,debtId:#7";
        let found = resolved(Kind::Debts, header, said);
        assert!(found.is_whole() && !found.plain);
        assert_eq!(found.places, at([1, 2, 3, 4, 5, 6]));
        let nothing = resolved(Kind::Transactions, "date,description,amount,id", "id:");
        assert_eq!(nothing.places, [Some(0), Some(1), Some(2), None, None]);
        assert!(nothing.is_whole() && !nothing.plain);
        let lost = |said| resolved(Kind::Debts, header, said).not_there.unwrap();
        assert_eq!(lost("name:Cliente"), "columns= says that name is 'Cliente', which is not there");
        assert_eq!(lost("debtId:#9"), "columns= says that debtId is #9, and there are 8");
        let moved = resolved(Kind::Debts, "email,governmentId,debtAmount,debtDueDate,debtId", "name:email");
        assert_eq!(moved.missing, ["email"], "a name serves one column");
        let twice = resolved(Kind::Debts, "a,a,governmentId,email,valor,vencimento,id", "name:a");
        assert_eq!(twice.duplicate, ["name"]);
        assert!(resolved(Kind::Debts, "a,a,governmentId,email,valor,vencimento,id", "name:#2").is_whole());
    }
}
