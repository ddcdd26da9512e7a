//! Text that has to fit.

use super::{canvas::mm, color::Color, font::Weight};

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) weight: Weight,
    /// In points.
    pub(super) size: f32,
    pub(super) color: Color,
}

const INK: Color = Color::gray(28);
const QUIET: Color = Color::gray(102);

impl Style {
    pub(super) const LABEL: Self = Self { weight: Weight::Regular, size: 7.5, color: QUIET };
    pub(super) const BODY: Self = Self { weight: Weight::Regular, size: 9.0, color: INK };
    pub(super) const STRONG: Self = Self { weight: Weight::SemiBold, size: 10.0, color: INK };
    pub(super) const TITLE: Self = Self { weight: Weight::SemiBold, size: 15.0, color: INK };
    pub(super) const DISPLAY: Self = Self { weight: Weight::SemiBold, size: 24.0, color: INK };

    pub(super) const fn sized(self, size: f32) -> Self {
        Self { size, ..self }
    }

    pub(super) const fn colored(self, color: Color) -> Self {
        Self { color, ..self }
    }

    /// In millimetres.
    pub(super) fn width(self, text: &str) -> f32 {
        mm(self.weight.width(text, self.size))
    }

    /// From one line to the next, in millimetres.
    pub(super) fn leading(self) -> f32 {
        mm(self.size * 1.35)
    }

    /// Smaller when that is what it takes to fit into `width` (millimetres), but not below `least` points.
    pub(super) fn shrunk(self, text: &str, width: f32, least: f32) -> Self {
        let needed = self.width(text);
        if needed <= width { self } else { self.sized((self.size * width / needed).max(least)) }
    }

    /// One line, cut with an ellipsis where it does not fit into `width` (millimetres).
    pub(super) fn cut(self, text: &str, width: f32) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut kept = String::new();
        for character in text.chars() {
            kept.push(character);
            if self.width(&kept) + self.width("…") > width {
                kept.pop();
                break;
            }
        }
        kept.truncate(kept.trim_end().len());
        kept.push('…');
        kept
    }

    /// At most `lines` lines of at most `width` millimetres, broken at blanks where there are any and anywhere else
    /// where there are none; an ellipsis ends what is cut. Blanks and line breaks become one blank.
    pub(super) fn wrap(self, text: &str, width: f32, lines: usize) -> Vec<String> {
        let mut done: Vec<String> = Vec::new();
        let mut line = String::new();
        for word in text.split([' ', '\n', '\r', '\t']).filter(|word| !word.is_empty()) {
            if !line.is_empty() {
                if self.width(&line) + self.width(" ") + self.width(word) <= width {
                    line.push(' ');
                    line.push_str(word);
                    continue;
                }
                done.push(std::mem::take(&mut line));
            }
            self.break_word(word, width, &mut line, &mut done);
            if done.len() > lines {
                break;
            }
        }
        if !line.is_empty() {
            done.push(line);
        }
        if done.len() > lines {
            done.truncate(lines);
            if let Some(last) = done.last_mut() {
                *last = self.cut(&format!("{last} …"), width);
            }
        }
        done
    }

    /// Lines of at most `width` millimetres, none of which begins or ends with a blank: what is copied line by line is the
    /// whole text again.
    pub(super) fn chop(self, text: &str, width: f32) -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        let mut rest = characters.as_slice();
        let mut done = Vec::new();
        while !rest.is_empty() {
            let mut used = 0.0;
            let mut fits = |character: &&char| {
                used += self.width(character.encode_utf8(&mut [0; 4]));
                used <= width
            };
            let most = rest.iter().take_while(|character| fits(character)).count().max(1);
            let between_letters = |end: &usize| *end == rest.len() || (rest[*end] != ' ' && rest[end - 1] != ' ');
            let end = (1..=most).rev().find(between_letters).unwrap_or(most);
            done.push(rest[..end].iter().collect());
            rest = &rest[end..];
        }
        done
    }

    /// Begins lines with a word; all but the last go to `done`.
    fn break_word(self, word: &str, width: f32, line: &mut String, done: &mut Vec<String>) {
        if self.width(word) <= width {
            line.push_str(word);
            return;
        }
        let mut used = 0.0;
        for character in word.chars() {
            let advance = self.width(character.encode_utf8(&mut [0; 4]));
            if used + advance > width && !line.is_empty() {
                done.push(std::mem::take(line));
                used = 0.0;
            }
            line.push(character);
            used += advance;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Style;

    #[test]
    fn lines_fit_and_nothing_is_lost() {
        let style = Style::BODY;
        let word = "ab".repeat(200);
        for text in ["", "one", "one two three four five six seven", "a  b\n c", word.as_str(), &format!("x {word} y")]
        {
            let lines = style.wrap(text, 20.0, 1000);
            assert!(lines.iter().all(|line| style.width(line) <= 20.01), "{lines:?}");
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(bare(&lines.concat()), bare(text));
        }
        let cut = style.wrap(&"word ".repeat(100), 20.0, 3);
        assert_eq!(cut.len(), 3);
        assert!(cut[2].ends_with('…') && style.width(&cut[2]) <= 20.0, "{cut:?}");
    }

    #[test]
    fn a_code_is_chopped_between_letters() {
        let code = "abc d ef ghi jkl m no pqrst uvw xyz".repeat(9);
        for width in 15_u8..40 {
            let lines = Style::BODY.chop(&code, f32::from(width));
            assert_eq!(lines.concat(), code);
            assert!(lines.iter().all(|line| line.trim() == line), "{lines:?}");
            assert!(lines.iter().all(|line| Style::BODY.width(line) <= f32::from(width)), "{lines:?}");
        }
    }

    #[test]
    fn an_amount_shrinks_before_it_is_cut() {
        let wide = Style::DISPLAY.shrunk("R$ 92.233.720.368.547.758,08", 40.0, 5.0);
        assert!(wide.width("R$ 92.233.720.368.547.758,08") < 40.1);
        assert_eq!(Style::BODY.cut("short", 40.0), "short");
        assert!(Style::BODY.width(&Style::BODY.cut(&"long".repeat(20), 40.0)) <= 40.0);
    }
}
