//! How a client's bills look: its logo and its colour.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gristmill_bills::pdf::{Color, Logo, LogoError, NotAColor};
use serde::{Deserialize, Serialize};

/// Of a logo's data URL: it is read with each settings, and put on each page.
const MAX_LOGO: usize = 128 * 1_024;

/// How a client's bills look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = BrandingSettings)]
pub struct Branding {
    /// At the head of the page, in place of the beneficiary's name: a PNG of at most 4,000 pixels on a side, or an SVG of
    /// shapes in plain colours, as a data URL of at most 131,072 characters.
    #[schema(example = "data:image/png;base64,iVBORw0KGgo…")]
    pub logo: Option<String>,
    /// Of lines and headings, as `#rrggbb`.
    #[schema(example = "#1f4e8c")]
    pub accent: Option<String>,
}

/// A logo that cannot be put on pages.
#[derive(Debug, thiserror::Error)]
pub enum BadLogo {
    /// It is something else than a data URL of one of the two media types.
    #[error("is neither data:image/png;base64,… nor data:image/svg+xml;base64,…")]
    Form,
    /// It is too long.
    #[error("has {0} characters, and at most {MAX_LOGO} are allowed")]
    Length(usize),
    /// What stands behind the comma is not base64.
    #[error("is not base64 behind the comma")]
    Base64(#[from] base64::DecodeError),
    /// The file is no logo.
    #[error(transparent)]
    File(#[from] LogoError),
}

/// Branding that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum BrandingError {
    /// The logo.
    #[error("the client's logo cannot be put on a page")]
    Logo(#[from] BadLogo),
    /// The colour.
    #[error(transparent)]
    Accent(#[from] NotAColor),
}

impl Branding {
    /// The logo, ready to be put on pages. May take as long as some pages.
    ///
    /// # Errors
    /// When it is none.
    pub fn logo(&self) -> Result<Option<Logo>, BadLogo> {
        let Some(url) = &self.logo else { return Ok(None) };
        if url.len() > MAX_LOGO {
            return Err(BadLogo::Length(url.len()));
        }
        let file = |text: &str| BASE64_STANDARD.decode(text.trim());
        if let Some(text) = url.strip_prefix("data:image/png;base64,") {
            return Ok(Some(Logo::png(&file(text)?)?));
        }
        let text = url.strip_prefix("data:image/svg+xml;base64,").ok_or(BadLogo::Form)?;
        Ok(Some(Logo::svg(&file(text)?)?))
    }

    /// The colour, the page's own where none is set.
    ///
    /// # Errors
    /// When it is none.
    pub fn accent(&self) -> Result<Color, NotAColor> {
        self.accent.as_deref().map_or(Ok(Color::default()), str::parse)
    }

    /// What is wrong with it, by field.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let logo = self.logo().err().map(|error| ("branding.logo", with_causes(&error)));
        let accent = self.accent().err().map(|error| ("branding.accent", error.to_string()));
        logo.into_iter().chain(accent).collect()
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
