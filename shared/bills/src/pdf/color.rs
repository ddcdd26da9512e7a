//! Colours.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A colour of a screen, as `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

/// Not of the form `#rrggbb`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no colour: #rrggbb is")]
pub struct NotAColor(pub String);

impl Color {
    pub(super) const BLACK: Self = Self::gray(0);
    pub(super) const WHITE: Self = Self::gray(255);

    pub(super) const fn gray(level: u8) -> Self {
        Self { red: level, green: level, blue: level }
    }

    /// Red, green and blue from 0 to 1, as a page has them: in three digits, which still tell every two colours apart.
    pub(super) fn rounded(self) -> [f32; 3] {
        self.parts().map(|part| (part * 1_000.0).round() / 1_000.0)
    }

    /// Red, green and blue from 0 to 1.
    pub(super) fn parts(self) -> [f32; 3] {
        [self.red, self.green, self.blue].map(|part| f32::from(part) / 255.0)
    }

    /// So much of `other` (0 to 1), the rest of this.
    pub(super) fn mixed(self, other: Self, share: f32) -> Self {
        let mix = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * share).round() as u8;
        Self { red: mix(self.red, other.red), green: mix(self.green, other.green), blue: mix(self.blue, other.blue) }
    }

    /// Darkened until its contrast to white is the 4.5 that WCAG asks of text.
    pub(super) fn readable(self) -> Self {
        let darker = |step: u8| self.mixed(Self::BLACK, f32::from(step) / 20.0);
        (0..20).map(darker).find(|color| 1.05 / (color.luminance() + 0.05) >= 4.5).unwrap_or(Self::BLACK)
    }

    fn luminance(self) -> f32 {
        let [red, green, blue] =
            self.parts().map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl Default for Color {
    /// A calm blue.
    fn default() -> Self {
        Self { red: 0x1f, green: 0x4e, blue: 0x8c }
    }
}

impl FromStr for Color {
    type Err = NotAColor;

    fn from_str(text: &str) -> Result<Self, NotAColor> {
        let wrong = || NotAColor(text.to_owned());
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6).ok_or_else(wrong)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let part = |from: usize| u8::from_str_radix(&digits[from..from + 2], 16).map_err(|_| wrong());
        Ok(Self { red: part(0)?, green: part(2)?, blue: part(4)? })
    }
}

impl TryFrom<String> for Color {
    type Error = NotAColor;

    fn try_from(text: String) -> Result<Self, NotAColor> {
        text.parse()
    }
}

impl From<Color> for String {
    fn from(color: Color) -> Self {
        color.to_string()
    }
}

impl fmt::Display for Color {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

#[cfg(test)]
mod tests {
    use super::Color;

    #[test]
    fn text_in_a_light_colour_is_darkened() {
        let read = |text: &str| text.parse::<Color>().unwrap();
        assert_eq!(read("#1f4e8c").readable(), read("#1f4e8c"));
        for light in ["#ffff00", "#ffffff", "#00ff80"] {
            assert!(read(light).readable().luminance() < 0.1834, "{light}");
        }
        for wrong in ["", "1f4e8c", "#1f4e8", "#1f4e8g", "#ééé", "#+1+1+1"] {
            assert!(wrong.parse::<Color>().is_err(), "{wrong}");
        }
    }
}
