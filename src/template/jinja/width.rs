//! Padding of texts.
//!
//! Owns how a text is padded to a width, in characters. A longer text is not shortened.

/// `own` in the middle, left or right of so many characters.
pub fn pad(own: &str, name: &str, width: usize, fill: char) -> String {
    let missing = width.saturating_sub(own.chars().count());
    let left = match name {
        "ljust" => 0,
        "rjust" => missing,
        // Python's own rule for what cannot be halved.
        _ => missing / 2 + (missing & width & 1),
    };
    let of = |count: usize| std::iter::repeat_n(fill, count);
    of(left).chain(own.chars()).chain(of(missing - left)).collect()
}
