//! `#[derive(Job)]`: see the crate `gristmill`.

mod duration;
mod job;

use proc_macro::TokenStream;

/// Makes a job of a struct that is `Serialize` and `Deserialize`.
///
/// ```ignore
/// #[derive(Serialize, Deserialize, Job)]
/// #[job(name = "email.send", queue = "mail", max_attempts = 5, timeout = "30s")]
/// struct SendEmail { to: String }
/// ```
///
/// Every part of `#[job(…)]` may be left out:
///
/// | part | is | unless given |
/// |---|---|---|
/// | `name = "…"` | the name on the wire | the struct's name, as `send_email` |
/// | `aliases("…", …)` | former names, still accepted | none |
/// | `queue = "…"` | the queue it waits in | `default` |
/// | `priority = 0` | 0 is the most urgent, 9 the least | 4 |
/// | `max_attempts = 5` | failed attempts until the job is dead | 8 |
/// | `timeout = "30s"` | how long one attempt may take: `ms`, `s`, `m`, `h` or `d` | a minute |
/// | `retain = "7d"` | how long it is kept when it has ended | as long as all |
/// | `version = 2` | the shape of the payload | 1 |
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    job::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
