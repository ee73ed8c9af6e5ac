//! The order in which people read names with numbers in them: `step_5`, `step_40`, `step_100`.
//!
//! Owns that order, for everything that lists models and tasks. Not here: order of tokens, samples and parts, which have
//! numbers of their own.

use std::cmp::Ordering;

/// Compares character by character, and runs of digits by the numbers that they write. Names that differ only in leading
/// zeros are ordered as text, so that only equal names are equal.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let ordering = match (left, right) {
            ([], _) | (_, []) => return left.len().cmp(&right.len()).then_with(|| a.cmp(b)),
            ([x, ..], [y, ..]) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (number, other) = (digits(left), digits(right));
                (left, right) = (&left[number.len()..], &right[other.len()..]);
                by_value(number, other)
            }
            ([x, rest @ ..], [y, others @ ..]) => {
                (left, right) = (rest, others);
                x.cmp(y)
            }
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

/// The digits that `text` begins with.
fn digits(text: &[u8]) -> &[u8] {
    &text[..text.iter().take_while(|byte| byte.is_ascii_digit()).count()]
}

/// Of numbers of any length.
fn by_value(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &'_ [u8]| digits.iter().take_while(|&&digit| digit == b'0').count();
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_come_in_their_order() {
        let mut names = ["step_100", "step_5", "base", "step_40", "step_40b", "step_005", "9", "10", "1e-5"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["1e-5", "9", "10", "base", "step_005", "step_5", "step_40", "step_40b", "step_100"]);
    }

    proptest! {
        #[test]
        fn it_is_an_order(names in proptest::collection::vec("[a01_9é]{0,6}", 3)) {
            let [a, b, c] = [&names[0], &names[1], &names[2]];
            prop_assert_eq!(compare(a, b), compare(b, a).reverse());
            prop_assert_eq!(compare(a, b).is_eq(), a == b);
            if compare(a, b).is_le() && compare(b, c).is_le() {
                prop_assert!(compare(a, c).is_le(), "{:?}", names);
            }
        }
    }
}
