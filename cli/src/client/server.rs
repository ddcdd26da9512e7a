//! Finding the API and a key for it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use gristmill_platform::config::DEFAULT_DATA_DIR;
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;

use crate::report::Advice;

const USUAL: &str = "http://127.0.0.1:8080";

/// Each argument says it by itself: a heading of the whole struct would stand above what comes after it, too.
const HEADING: &str = "Server";

/// Which server to talk to. With nothing given: the one that `gristmill up` runs on a data folder here or above.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Server {
    /// The API [default: that of the `gristmill up` found here, else http://127.0.0.1:8080]
    #[arg(long, help_heading = HEADING, env = "GRISTMILL_API", value_name = "URL", value_parser = address)]
    api: Option<Url>,

    /// The API key [default: the development key of `gristmill up`]
    #[arg(long, help_heading = HEADING, env = "GRISTMILL_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<SecretString>,

    /// The data folder of a `gristmill up` [default: .gristmill here or in a folder above]
    #[arg(long, help_heading = HEADING, env = "GRISTMILL_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// An address, as people give it.
pub(super) fn address(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(format!("an address looks like {USUAL}")),
    }
}

/// Where to and who.
pub(super) struct Target {
    /// Ends with a slash, so that paths can be joined to it.
    pub(super) api: Url,
    pub(super) key: Option<SecretString>,
    /// Where the key is from, for the message when it is refused.
    pub(super) key_from: String,
}

/// What `gristmill up` tells in its data folder, as far as it matters here.
#[derive(Deserialize)]
struct Up {
    api: String,
}

impl Server {
    pub(super) fn target(self) -> anyhow::Result<Target> {
        let folder = match &self.data_dir {
            Some(folder) if !folder.is_dir() => {
                return Err(Advice::new(
                    format!("there is no data folder {}", folder.display()),
                    "`gristmill up` makes it",
                )
                .into());
            }
            Some(folder) => Some(folder.clone()),
            None => nearest_folder(),
        };
        let api = match self.api {
            Some(api) => api,
            None => running(folder.as_deref())?.unwrap_or(Url::parse(USUAL).expect("it is a URL")),
        };
        let (key, key_from) = match (self.key, folder) {
            (Some(key), _) => (Some(key), "--key or GRISTMILL_KEY".to_owned()),
            // A development key is for the machine it was made on: it is not sent anywhere else.
            (None, Some(folder)) if is_local(&api) => {
                let path = folder.join("dev.key");
                (development_key(&path)?, path.display().to_string())
            }
            (None, _) => (None, String::new()),
        };
        Ok(Target { api: with_slash(api), key, key_from })
    }
}

fn nearest_folder() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let folders = here.ancestors().map(|folder| folder.join(DEFAULT_DATA_DIR));
    folders.into_iter().find(|folder| folder.join("dev.key").is_file() || folder.join("up.json").is_file())
}

fn running(folder: Option<&Path>) -> anyhow::Result<Option<Url>> {
    let Some(folder) = folder else { return Ok(None) };
    let path = folder.join("up.json");
    match std::fs::read(&path) {
        Ok(text) => {
            let wrong = || format!("cannot read {}", path.display());
            let up: Up = serde_json::from_slice(&text).with_context(wrong)?;
            Ok(Some(Url::parse(&up.api).with_context(wrong)?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn development_key(path: &Path) -> anyhow::Result<Option<SecretString>> {
    match std::fs::read_to_string(path) {
        Ok(key) => Ok(Some(key.trim().into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}: give a key with --key", path.display())),
    }
}

fn is_local(api: &Url) -> bool {
    match api.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn with_slash(mut api: Url) -> Url {
    if !api.path().ends_with('/') {
        let path = format!("{}/", api.path());
        api.set_path(&path);
    }
    api
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn target(api: Option<&str>, folder: &Path) -> Target {
        let api = api.map(|api| api.parse().unwrap());
        Server { api, key: None, data_dir: Some(folder.to_owned()) }.target().unwrap()
    }

    #[test]
    fn the_data_folder_tells() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(target(None, folder.path()).api.as_str(), "http://127.0.0.1:8080/");
        std::fs::write(folder.path().join("up.json"), r#"{"api":"http://127.0.0.1:81/sub","monitor":"x"}"#).unwrap();
        std::fs::write(folder.path().join("dev.key"), "gm_x\n").unwrap();
        let found = target(None, folder.path());
        assert_eq!(found.api.as_str(), "http://127.0.0.1:81/sub/");
        assert_eq!(found.key.unwrap().expose_secret(), "gm_x");
    }

    #[test]
    fn an_address_is_asked_for_in_words() {
        for wrong in ["foo", "127.0.0.1:8080", "ftp://example.com", "localhost:8080", ""] {
            assert_eq!(address(wrong).unwrap_err(), "an address looks like http://127.0.0.1:8080", "{wrong}");
        }
        assert_eq!(address("https://example.com/sub").unwrap().as_str(), "https://example.com/sub");
    }

    #[test]
    fn a_development_key_stays_on_its_machine() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dev.key"), "gm_x").unwrap();
        assert!(target(Some("http://localhost:8080"), folder.path()).key.is_some());
        assert!(target(Some("http://[::1]:8080"), folder.path()).key.is_some());
        assert!(target(Some("https://example.com"), folder.path()).key.is_none());
        assert!(target(Some("https://localhost.example.com"), folder.path()).key.is_none());
    }
}
