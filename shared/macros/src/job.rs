//! The implementation of `Job` that a struct asks for.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, LitInt, LitStr, Result, meta::ParseNestedMeta, punctuated::Punctuated};

use crate::duration::millis;

/// What stands in `#[job(…)]`.
#[derive(Default)]
struct Asked {
    name: Option<LitStr>,
    aliases: Vec<LitStr>,
    consts: Vec<TokenStream>,
}

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    if let Data::Union(data) = &input.data {
        return Err(Error::new(data.union_token.span, "a job is a struct or an enum that serde can read"));
    }
    if let Some(generic) = input.generics.params.first() {
        return Err(Error::new_spanned(generic, "a job has no generics: it is read by its name alone"));
    }
    let mut asked = Asked::default();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("job")) {
        attribute.parse_nested_meta(|meta| asked.part(&meta))?;
    }
    let ident = &input.ident;
    let name = asked.name.unwrap_or_else(|| LitStr::new(&snake_case(&ident.to_string()), ident.span()));
    let (aliases, consts) = (asked.aliases, asked.consts);
    Ok(quote! {
        impl ::gristmill::Job for #ident {
            const NAME: &'static str = #name;
            const ALIASES: &'static [&'static str] = &[#(#aliases),*];
            #(#consts)*
        }
    })
}

impl Asked {
    fn part(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let text = || -> Result<LitStr> {
            let text: LitStr = meta.value()?.parse()?;
            let problem = match text.value() {
                value if value.is_empty() => "it is empty",
                value if value.contains('\0') => "it has a NUL character in it",
                _ => return Ok(text),
            };
            Err(Error::new(text.span(), problem))
        };
        let number = || -> Result<LitInt> { meta.value()?.parse() };
        let duration = || -> Result<u64> {
            let text: LitStr = meta.value()?.parse()?;
            millis(&text.value()).map_err(|problem| Error::new(text.span(), problem))
        };
        let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match word.as_str() {
            "name" => self.name = Some(text()?),
            "aliases" => {
                let content;
                syn::parenthesized!(content in meta.input);
                self.aliases = Punctuated::<LitStr, syn::Token![,]>::parse_terminated(&content)?.into_iter().collect();
            }
            "queue" => {
                let queue = text()?;
                self.consts.push(quote! { const QUEUE: &'static str = #queue; });
            }
            "priority" => {
                let priority = number()?;
                if priority.base10_parse::<u8>()? > 9 {
                    return Err(Error::new(priority.span(), "a priority is 0, the most urgent, to 9, the least"));
                }
                self.consts.push(quote! { const PRIORITY: u8 = #priority; });
            }
            "max_attempts" => {
                let attempts = number()?;
                if attempts.base10_parse::<u16>()? == 0 {
                    return Err(Error::new(attempts.span(), "a job has one attempt at least"));
                }
                self.consts.push(quote! { const MAX_ATTEMPTS: u16 = #attempts; });
            }
            "version" => {
                let version = number()?;
                if version.base10_parse::<u16>()? == 0 {
                    return Err(Error::new(version.span(), "versions of a payload are counted from 1"));
                }
                self.consts.push(quote! { const VERSION: u16 = #version; });
            }
            "timeout" => {
                let millis = duration()?;
                self.consts.push(quote! {
                    const TIMEOUT: ::std::time::Duration = ::std::time::Duration::from_millis(#millis);
                });
            }
            "retain" => {
                let millis = duration()?;
                self.consts.push(quote! {
                    const RETAIN: ::std::option::Option<::std::time::Duration> =
                        ::std::option::Option::Some(::std::time::Duration::from_millis(#millis));
                });
            }
            _ => {
                return Err(meta.error(
                    "this is not a part of #[job(…)]: there are name, aliases, queue, priority, max_attempts, timeout, \
                     retain and version",
                ));
            }
        }
        Ok(())
    }
}

/// `SendEmail` as `send_email`, `HTTPCall` as `http_call`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::with_capacity(name.len() + 4);
    for (at, letter) in letters.iter().enumerate() {
        let begins_word = letter.is_uppercase()
            && at > 0
            && (!letters[at - 1].is_uppercase() || letters.get(at + 1).is_some_and(|next| next.is_lowercase()));
        if begins_word && letters[at - 1] != '_' {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_structs() {
        for (name, expected) in [
            ("Hello", "hello"),
            ("SendEmail", "send_email"),
            ("HTTPCall", "http_call"),
            ("Mail2", "mail2"),
            ("A_B", "a_b"),
        ] {
            assert_eq!(snake_case(name), expected);
        }
    }

    #[test]
    fn what_cannot_be_is_said_at_its_place() {
        let wrong = |source: &str| derive(&syn::parse_str(source).unwrap()).unwrap_err().to_string();
        for (source, problem) in [
            ("#[job(timeout = \"30\")] struct A;", "is not a duration"),
            ("#[job(priority = 10)] struct A;", "0, the most urgent, to 9"),
            ("#[job(max_attempts = 0)] struct A;", "one attempt at least"),
            ("#[job(version = 0)] struct A;", "from 1"),
            ("#[job(name = \"\")] struct A;", "it is empty"),
            ("#[job(que = \"a\")] struct A;", "there are name, aliases, queue"),
            ("struct A<T>(T);", "no generics"),
            ("union A { a: u8 }", "a struct or an enum"),
        ] {
            assert!(wrong(source).contains(problem), "{source}: {}", wrong(source));
        }
    }

    #[test]
    fn each_part_is_a_const() {
        let source = "#[job(name = \"mail.send\", aliases(\"mail\", \"email\"), queue = \"mail\", priority = 1, max_attempts = 5, \
                      timeout = \"30s\", retain = \"1d\", version = 2)] struct SendEmail { to: String }";
        let made = derive(&syn::parse_str(source).unwrap()).unwrap().to_string();
        for part in [
            "NAME : & 'static str = \"mail.send\"",
            "\"mail\" , \"email\"",
            "QUEUE : & 'static str = \"mail\"",
            "PRIORITY : u8 = 1",
            "MAX_ATTEMPTS : u16 = 5",
            "from_millis (30000u64)",
            "from_millis (86400000u64)",
            "VERSION : u16 = 2",
        ] {
            assert!(made.contains(part), "{part}: {made}");
        }
    }
}
