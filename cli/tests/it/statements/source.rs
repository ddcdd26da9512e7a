//! The SQL of a crate's source.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprCall, ExprMethodCall, ImplItemFn, Item, ItemConst, ItemFn, ItemMacro, Local, Macro, Pat,
};

use super::text::{Names, Rule, Text, arguments, literals};

/// The statements of a crate, each with its file and line.
#[derive(Default)]
pub(super) struct Statements {
    /// Those whose whole text is in the source.
    pub(super) known: BTreeSet<(PathBuf, usize, String)>,
    /// Those that are put together at run time, and how.
    pub(super) built: BTreeSet<(PathBuf, usize, String)>,
}

/// The statements in the files of one crate, which see each other's constants and macros. What is compiled for tests only
/// is left out.
pub(super) fn statements(files: &[(PathBuf, String)]) -> Statements {
    let parsed: Vec<(&Path, syn::File)> = files
        .iter()
        .map(|(path, text)| {
            (path.as_path(), syn::parse_file(text).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        })
        .collect();
    let mut of_crate = Definitions::default();
    parsed.iter().for_each(|(_, file)| of_crate.visit_file(file));
    let mut found = Statements::default();
    for (path, file) in &parsed {
        let mut of_file = Definitions::default();
        of_file.visit_file(file);
        let mut names = Names { folder: path.parent().unwrap().to_owned(), ..Names::default() };
        // a file's own names go before those of other files
        for definitions in [&of_crate, &of_file] {
            names
                .constants
                .extend(definitions.constants.iter().map(|item| (item.ident.to_string(), (*item.expr).clone())));
            names.rules.extend(
                definitions
                    .macros
                    .iter()
                    .filter_map(|(name, item)| Some((name.clone(), Rule::of(item.mac.tokens.clone())?))),
            );
        }
        Reader { path, names, found: &mut found }.visit_file(file);
    }
    found
}

#[derive(Default)]
struct Definitions {
    constants: Vec<ItemConst>,
    macros: Vec<(String, ItemMacro)>,
}

impl<'ast> Visit<'ast> for Definitions {
    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        self.constants.push(item.clone());
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        self.macros.extend(item.ident.as_ref().map(|name| (name.to_string(), item.clone())));
    }
}

struct Reader<'a> {
    path: &'a Path,
    names: Names,
    found: &'a mut Statements,
}

impl Reader<'_> {
    /// Enters what is a statement: whatever `text` is where one is asked for (`asked`), else what looks like one.
    fn enter(&mut self, text: Text, at: Span, asked: bool) {
        match text {
            Text::Known(sql) if asked || is_statement(&sql) => {
                self.found.known.insert((self.path.to_owned(), at.start().line, sql));
            }
            Text::Built { how, line, known } if asked || is_statement(&known) => {
                self.found.built.insert((self.path.to_owned(), line, how));
            }
            Text::Unknown if asked => {
                self.found.built.insert((self.path.to_owned(), at.start().line, "an argument".to_owned()));
            }
            _ => {}
        }
    }

    fn visit_within<T>(&mut self, function: &T, visit: impl Fn(&mut Self, &T)) {
        let outer = self.names.locals.clone();
        visit(self, function);
        self.names.locals = outer;
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.visit_within(function, |this, function| visit::visit_block(this, &function.block));
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.visit_within(function, |this, function| visit::visit_block(this, &function.block));
    }

    fn visit_local(&mut self, local: &'ast Local) {
        visit::visit_local(self, local);
        let pattern = match &local.pat {
            Pat::Type(typed) => &*typed.pat,
            pattern => pattern,
        };
        if let (Pat::Ident(name), Some(value)) = (pattern, &local.init) {
            self.names.locals.insert(name.ident.to_string(), (*value.expr).clone());
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let Expr::Path(function) = &*call.func else { return visit::visit_expr_call(self, call) };
        let segments: Vec<String> = function.path.segments.iter().map(|s| s.ident.to_string()).collect();
        let at = function.path.segments.last().unwrap().ident.span();
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (&names[..], call.args.first()) {
            (["sqlx", name], Some(sql)) if QUERIES.contains(name) => self.enter(self.names.text(sql), at, true),
            ([.., "QueryBuilder", _], Some(_)) => {
                self.found.built.insert((self.path.to_owned(), at.start().line, "QueryBuilder".to_owned()));
            }
            _ => return visit::visit_expr_call(self, call),
        }
        call.args.iter().skip(1).for_each(|argument| self.visit_expr(argument));
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let method = call.method.to_string();
        // pieces of what a QueryBuilder makes
        let is_piece = ["push", "push_str"].contains(&method.as_str());
        if let (true, Some(argument)) = (RUNS.contains(&method.as_str()) || is_piece, call.args.first()) {
            let text = self.names.text(argument);
            if !matches!(text, Text::Unknown) {
                if !is_piece {
                    self.enter(text, call.method.span(), true);
                }
                return self.visit_expr(&call.receiver);
            }
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.enter(Text::Known(literal.value()), literal.span(), false);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let at = call.path.segments.last().unwrap().ident.span();
        match (self.names.text_of_macro(call), arguments(&call.tokens)) {
            (Text::Unknown, Some(arguments)) => {
                arguments.iter().for_each(|argument| self.visit_expr(&argument.clone()))
            }
            (Text::Unknown, None) => {
                for literal in literals(call.tokens.clone()) {
                    self.enter(Text::Known(literal.value()), literal.span(), false);
                }
            }
            (text, _) => self.enter(text, at, false),
        }
    }

    fn visit_item_macro(&mut self, _: &'ast ItemMacro) {
        // what a macro is made of is read where it is used
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {
        // documentation is not run
    }
}

/// sqlx' functions whose first argument is a statement.
const QUERIES: [&str; 8] = [
    "query",
    "query_as",
    "query_scalar",
    "raw_sql",
    "query_with",
    "query_as_with",
    "query_scalar_with",
    "query_as_unchecked",
];
/// Methods of a connection that take a statement's text.
const RUNS: [&str; 8] =
    ["execute", "fetch", "fetch_one", "fetch_optional", "fetch_all", "prepare", "copy_in_raw", "copy_out_raw"];

fn is_statement(text: &str) -> bool {
    let lines = text.trim_start().lines().skip_while(|line| line.trim_start().starts_with("--"));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    match words[..] {
        ["select", ..] => words.contains(&"from"),
        ["insert", "into", ..] | ["delete", "from", ..] | ["with", _, "as", ..] => true,
        ["with", "recursive", ..] | ["create", "table", ..] | ["create", "temporary", "table", ..] => true,
        ["update", _, "set", ..] | ["update", _, _, "set", ..] => true,
        ["copy", next, ..] => next.starts_with('('),
        _ => false,
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => &[],
    }
}
