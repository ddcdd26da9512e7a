//! What text an expression of the source is, as far as the source alone says it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, Lit, LitStr, Macro, Token};

/// What an expression comes to.
pub(super) enum Text {
    /// This text, always.
    Known(String),
    /// A text that is put together at run time, in which way, in which line; and what of it is known.
    Built { how: String, line: usize, known: String },
    /// No text, or one that comes from elsewhere.
    Unknown,
}

/// A `macro_rules!` with one arm, of no parameter or one.
pub(super) struct Rule {
    parameter: Option<String>,
    body: TokenStream,
}

impl Rule {
    /// `() => { body }` or `($name:literal) => { body }`; `None` for any other one.
    pub(super) fn of(tokens: TokenStream) -> Option<Self> {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let [TokenTree::Group(parameters), _, _, TokenTree::Group(body), ..] = &trees[..] else { return None };
        let parameters: Vec<String> = parameters.stream().into_iter().map(|tree| tree.to_string()).collect();
        let parameter = match &parameters[..] {
            [] => None,
            [dollar, name, _, _] if dollar == "$" => Some(name.clone()),
            _ => return None,
        };
        Some(Self { parameter, body: body.stream() })
    }

    fn expand(&self, arguments: &TokenStream) -> Option<Expr> {
        syn::parse2(fill(self.body.clone(), self.parameter.as_deref(), arguments)).ok()
    }
}

/// Puts `with` where `$name` stands.
fn fill(body: TokenStream, name: Option<&str>, with: &TokenStream) -> TokenStream {
    let mut filled = TokenStream::new();
    let mut trees = body.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match &tree {
            TokenTree::Punct(punct) if punct.as_char() == '$' => {
                let next = trees.peek().map(ToString::to_string);
                if next.is_some() && next.as_deref() == name {
                    trees.next();
                    filled.extend(with.clone());
                    continue;
                }
                filled.extend([tree]);
            }
            TokenTree::Group(group) => {
                let inside = fill(group.stream(), name, with);
                filled.extend([TokenTree::Group(proc_macro2::Group::new(group.delimiter(), inside))]);
            }
            _ => filled.extend([tree]),
        }
    }
    filled
}

/// The names that an expression may mention.
#[derive(Default)]
pub(super) struct Names {
    pub(super) constants: BTreeMap<String, Expr>,
    pub(super) rules: BTreeMap<String, Rule>,
    /// The `let`s so far of the function that is read.
    pub(super) locals: BTreeMap<String, Expr>,
    /// Where the file is: `include_str!` starts there.
    pub(super) folder: PathBuf,
}

/// So deep may names stand for names; a name may also be made of itself.
const DEEPEST: u8 = 12;

impl Names {
    pub(super) fn text(&self, expression: &Expr) -> Text {
        self.resolve(expression, 0)
    }

    pub(super) fn text_of_macro(&self, call: &Macro) -> Text {
        self.expand(call, 0)
    }

    fn resolve(&self, expression: &Expr, depth: u8) -> Text {
        if depth > DEEPEST {
            return Text::Unknown;
        }
        match expression {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Text::Known(text.value()),
                Lit::Int(number) => Text::Known(number.base10_digits().to_owned()),
                _ => Text::Unknown,
            },
            Expr::Reference(inner) => self.resolve(&inner.expr, depth + 1),
            Expr::Paren(inner) => self.resolve(&inner.expr, depth + 1),
            Expr::Group(inner) => self.resolve(&inner.expr, depth + 1),
            Expr::MethodCall(call) if ["as_str", "to_owned", "to_string", "into"].iter().any(|m| call.method == m) => {
                self.resolve(&call.receiver, depth + 1)
            }
            // `Schema::sql`: the same text for the schema that is set.
            Expr::MethodCall(call) if ["sql", "rewrite"].iter().any(|m| call.method == m) && call.args.len() == 1 => {
                self.resolve(&call.args[0], depth + 1)
            }
            Expr::Path(path) => {
                let name = path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
                let local = if path.path.segments.len() == 1 { self.locals.get(&name) } else { None };
                local.or_else(|| self.constants.get(&name)).map_or(Text::Unknown, |expr| self.resolve(expr, depth + 1))
            }
            Expr::Macro(call) => self.expand(&call.mac, depth + 1),
            _ => Text::Unknown,
        }
    }

    fn expand(&self, call: &Macro, depth: u8) -> Text {
        let Some(last) = call.path.segments.last() else { return Text::Unknown };
        let name = last.ident.to_string();
        let line = last.ident.span().start().line;
        let Some(arguments) = arguments(&call.tokens) else { return Text::Unknown };
        match name.as_str() {
            "concat" => {
                let pieces = arguments.iter().map(|piece| self.resolve(piece, depth + 1));
                joined("concat!", line, pieces)
            }
            "format" | "format_args" => {
                let mut arguments = arguments.iter();
                let Some(Text::Known(pattern)) = arguments.next().map(|first| self.resolve(first, depth + 1)) else {
                    return Text::Unknown;
                };
                joined("format!", line, self.pieces(&pattern, arguments, depth).into_iter())
            }
            "include_str" => match arguments.first().map(|path| self.resolve(path, depth + 1)) {
                Some(Text::Known(path)) => {
                    std::fs::read_to_string(self.folder.join(Path::new(&path))).map_or(Text::Unknown, Text::Known)
                }
                _ => Text::Unknown,
            },
            _ => match self.rules.get(&name).and_then(|rule| rule.expand(&call.tokens)) {
                Some(expression) => self.resolve(&expression, depth + 1),
                None => Text::Unknown,
            },
        }
    }

    /// The pieces of a pattern of `format!`: its own, and what its holes are filled with.
    fn pieces<'a>(&self, pattern: &str, mut arguments: impl Iterator<Item = &'a Expr>, depth: u8) -> Vec<Text> {
        let mut pieces = Vec::new();
        // a brace that stands for itself is written twice
        let plain = pattern.replace("{{", "\u{1}").replace("}}", "\u{2}");
        let own = |text: &str| Text::Known(text.replace('\u{1}', "{").replace('\u{2}', "}"));
        let mut rest = plain.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (hole, behind) = after.split_once('}').unwrap_or((after, ""));
            pieces.push(own(before));
            pieces.push(match hole {
                "" => arguments.next().map_or(Text::Unknown, |argument| self.resolve(argument, depth + 1)),
                name => syn::parse_str(name).map_or(Text::Unknown, |expr| self.resolve(&expr, depth + 1)),
            });
            rest = behind;
        }
        pieces.push(own(rest));
        pieces
    }
}

/// What stands between the commas of a macro's call.
pub(super) fn arguments(tokens: &TokenStream) -> Option<Vec<Expr>> {
    let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
    Some(parser.parse2(tokens.clone()).ok()?.into_iter().collect())
}

fn joined(how: &str, line: usize, pieces: impl Iterator<Item = Text>) -> Text {
    let (mut known, mut whole) = (String::new(), true);
    for piece in pieces {
        match piece {
            Text::Known(text) => known.push_str(&text),
            Text::Built { known: text, .. } => {
                known.push_str(&text);
                whole = false;
            }
            Text::Unknown => whole = false,
        }
    }
    if whole { Text::Known(known) } else { Text::Built { how: how.to_owned(), line, known } }
}

/// The string literals anywhere in a macro's call that is not a list of expressions.
pub(super) fn literals(tokens: TokenStream) -> Vec<LitStr> {
    let of = |tree: TokenTree| match tree {
        TokenTree::Group(group) => literals(group.stream()),
        TokenTree::Literal(literal) => syn::parse2(TokenTree::from(literal).into()).into_iter().collect(),
        _ => Vec::new(),
    };
    tokens.into_iter().flat_map(of).collect()
}
