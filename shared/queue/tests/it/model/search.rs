//! Every reachable state, breadth first.

use std::{collections::HashMap, fmt::Debug, hash::Hash};

/// What can happen next.
pub(super) struct Step<S> {
    /// For the trace.
    pub(super) name: &'static str,
    /// It happens in the end, unless something else makes it impossible. A fault may never happen.
    pub(super) fair: bool,
    /// Where it leads, or what must never happen.
    pub(super) to: Result<S, &'static str>,
}

pub(super) trait Model {
    type State: Clone + Eq + Hash + Debug;

    fn start(&self) -> Self::State;

    /// All steps from here.
    fn steps(&self, state: &Self::State, out: &mut Vec<Step<Self::State>>);

    /// Why this state must not be.
    fn wrong(&self, state: &Self::State) -> Option<&'static str>;

    /// All is done, and nothing is left over.
    fn done(&self, state: &Self::State) -> bool;
}

/// What a search has found.
#[derive(Debug)]
pub(super) enum Found<S> {
    /// Every state is allowed, and from every state there is a way of fair steps to one where all is done.
    Holds { states: usize, steps: usize },
    /// The shortest way to something that must never be.
    Wrong { why: &'static str, way: Vec<&'static str> },
    /// A state from where nothing leads to the end.
    Stuck {
        way: Vec<&'static str>,
        #[expect(dead_code, reason = "for whoever has to find out why")]
        state: S,
    },
}

impl<S: Debug> Found<S> {
    /// How many states and steps there are.
    pub(super) fn holds(self) -> (usize, usize) {
        match self {
            Self::Holds { states, steps } => (states, steps),
            found => panic!("{found:#?}"),
        }
    }

    /// That this mistake was found, by a way with this step.
    pub(super) fn is_wrong(&self, what: &str, step: &str) {
        match self {
            Self::Wrong { why, way } if *why == what && way.contains(&step) => {}
            found => panic!("{found:#?}"),
        }
    }

    /// That there is no way out after this step.
    pub(super) fn is_stuck(&self, step: &str) {
        match self {
            Self::Stuck { way, .. } if way.contains(&step) => {}
            found => panic!("{found:#?}"),
        }
    }
}

pub(super) fn search<M: Model>(model: &M) -> Found<M::State> {
    let start = model.start();
    let mut known: HashMap<M::State, u32> = HashMap::from([(start.clone(), 0)]);
    let mut states = vec![start];
    // How each was reached first, and who leads to whom by fair steps.
    let mut reached: Vec<(u32, &'static str)> = vec![(0, "")];
    let mut fair: Vec<(u32, u32)> = Vec::new();
    let (mut next, mut steps, mut out) = (0, 0, Vec::new());
    while next < states.len() {
        let from = next as u32;
        if let Some(why) = model.wrong(&states[next]) {
            return Found::Wrong { why, way: way(&reached, from) };
        }
        model.steps(&states[next], &mut out);
        steps += out.len();
        for step in out.drain(..) {
            let to = match step.to {
                Ok(to) => to,
                Err(why) => {
                    let mut way = way(&reached, from);
                    way.push(step.name);
                    return Found::Wrong { why, way };
                }
            };
            let number = *known.entry(to).or_insert_with_key(|to| {
                states.push(to.clone());
                reached.push((from, step.name));
                states.len() as u32 - 1
            });
            if step.fair && number != from {
                fair.push((number, from));
            }
        }
        next += 1;
    }
    match stuck(model, &states, fair) {
        Some(number) => Found::Stuck { way: way(&reached, number as u32), state: states[number].clone() },
        None => Found::Holds { states: states.len(), steps },
    }
}

/// Backwards from where all is done: whom this does not find can never get there.
fn stuck<M: Model>(model: &M, states: &[M::State], mut fair: Vec<(u32, u32)>) -> Option<usize> {
    fair.sort_unstable();
    let mut hopeful: Vec<bool> = states.iter().map(|state| model.done(state)).collect();
    let mut open: Vec<u32> = (0..states.len() as u32).filter(|number| hopeful[*number as usize]).collect();
    while let Some(number) = open.pop() {
        let begin = fair.partition_point(|(to, _)| *to < number);
        for (_, from) in fair[begin..].iter().take_while(|(to, _)| *to == number) {
            if !std::mem::replace(&mut hopeful[*from as usize], true) {
                open.push(*from);
            }
        }
    }
    hopeful.iter().position(|hopeful| !hopeful)
}

fn way(reached: &[(u32, &'static str)], mut to: u32) -> Vec<&'static str> {
    let mut way = Vec::new();
    while to != 0 {
        let (from, name) = reached[to as usize];
        way.push(name);
        to = from;
    }
    way.reverse();
    way
}
