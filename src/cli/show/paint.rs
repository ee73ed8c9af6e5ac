//! Colours of a terminal: 24 bits, 256, or none.
//!
//! Owns which of these stdout takes, and the sequences. The text colour is set with the background, so that it can be
//! read whatever colours the terminal has; lines above and below say the same without colour.

use std::fmt::Write;
use std::io::IsTerminal;

use crate::escape::visible;

/// What the terminal takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    None,
    Of256,
    Of24Bits,
}

/// Backgrounds from a small to a large change, as the page has them in the dark: Q less likely, Q likelier.
const LESS: [u32; 5] = [0x38_2718, 0x50_3014, 0x68_3a08, 0x7e_4504, 0x94_5101];
const MORE: [u32; 5] = [0x1d_2c3c, 0x1e_3b58, 0x1c_4974, 0x16_5892, 0x07_67b0];
const INK: u32 = 0xf0_f0f0;

/// The change from which a line is drawn, or a mark without colours.
const MARKED: u32 = 3;

impl Paint {
    /// Of this process's stdout.
    pub fn of_stdout() -> Self {
        Self::of(std::io::stdout().is_terminal(), |name| std::env::var(name).ok())
    }

    /// By the environment: `NO_COLOR` wins, `CLICOLOR_FORCE` stands for a terminal.
    fn of(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty() && value != "0");
        let is_dumb = variable("TERM").as_deref() == Some("dumb");
        if variable("NO_COLOR").is_some_and(|value| !value.is_empty())
            || !(is_set("CLICOLOR_FORCE") || is_terminal && !is_dumb)
        {
            return Self::None;
        }
        let is_deep = variable("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit");
        if is_deep { Self::Of24Bits } else { Self::Of256 }
    }

    /// A token's text in the colour of its change: −5 to −1 Q less likely, 1 to 5 Q likelier, 0 none.
    pub fn token(self, text: &str, change: i32) -> String {
        let steps = change.unsigned_abs();
        if self == Self::None {
            let mark = if change < 0 { '-' } else { '+' };
            let text = lines(text);
            return if steps >= MARKED { format!("{{{mark}{text}{mark}}}") } else { text };
        }
        let Some(step) = (steps.min(5) as usize).checked_sub(1) else { return lines(text) };
        let mut begin = String::new();
        self.colour(&mut begin, 48, if change < 0 { LESS[step] } else { MORE[step] });
        self.colour(&mut begin, 38, INK);
        if steps >= MARKED {
            begin += if change < 0 { "\x1b[4m" } else { "\x1b[53m" };
        }
        // A background would go on to the end of the line.
        let of_line =
            |line: &str| if line.is_empty() { String::new() } else { format!("{begin}{}\x1b[0m", visible(line)) };
        text.split('\n').map(of_line).collect::<Vec<_>>().join("\n")
    }

    fn colour(self, out: &mut String, what: u8, rgb: u32) {
        let [_, r, g, b] = rgb.to_be_bytes();
        // Writing to a String does not fail.
        let _ = match self {
            Self::Of24Bits => write!(out, "\x1b[{what};2;{r};{g};{b}m"),
            _ => write!(out, "\x1b[{what};5;{}m", of_256(r, g, b)),
        };
    }
}

/// The nearest of the 6 × 6 × 6 colours.
fn of_256(r: u8, g: u8, b: u8) -> u32 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |value: u8| (0..6_u32).min_by_key(|i| LEVELS[*i as usize].abs_diff(value)).unwrap_or_default();
    16 + 36 * nearest(r) + 6 * nearest(g) + nearest(b)
}

/// A text with its line ends, and everything else visible.
fn lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::Paint;

    #[test]
    fn the_environment_decides_on_colours() {
        let of = |is_terminal: bool, set: &[(&str, &str)]| {
            Paint::of(is_terminal, |name| {
                set.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(true, &[("COLORTERM", "truecolor")]), Paint::Of24Bits);
        assert_eq!(of(true, &[("TERM", "xterm-256color")]), Paint::Of256);
        assert_eq!(of(true, &[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), Paint::None);
        assert_eq!([of(false, &[]), of(true, &[("TERM", "dumb")])], [Paint::None; 2]);
        assert_eq!(of(false, &[("CLICOLOR_FORCE", "1")]), Paint::Of256);
    }

    #[test]
    fn tokens_are_told_apart_with_and_without_colours() {
        assert_eq!(Paint::None.token("a\nb", -3), "{-a\nb-}");
        assert_eq!(Paint::None.token("a", 5), "{+a+}");
        assert_eq!([Paint::None.token("a", 2), Paint::Of256.token("a", 0)], ["a", "a"]);
        assert_eq!(Paint::Of24Bits.token("a", 1), "\x1b[48;2;29;44;60m\x1b[38;2;240;240;240ma\x1b[0m");
        assert_eq!(Paint::Of256.token("a\n", -5), "\x1b[48;5;94m\x1b[38;5;231m\x1b[4ma\x1b[0m\n");
        assert!(!Paint::Of24Bits.token("\x1b[31mx", 4).contains("\x1b[31m"));
    }
}
