//! Where a response thinks and where it answers.
//!
//! Owns the reading of `<think>` and `</think>`, which reasoning models write. Other marks are not recognised.

use std::ops::Range;

/// In the order of the numbers that [`region`] gives.
pub const REGIONS: [&str; 3] = ["think", "answer", "end"];

const THINK: usize = 0;
const ANSWER: usize = 1;
const END: usize = 2;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Byte ranges of `response` that lie within thinking, the marks included. The prompt may have opened, as some chat
/// templates do: it ends within thinking, or the response closes before it opens. What never closes thinks to the end.
pub fn thinking(prompt: &str, response: &str) -> Vec<Range<u32>> {
    let mut found = Vec::new();
    let opened = prompt.rfind(OPEN).is_some_and(|open| prompt.rfind(CLOSE).is_none_or(|close| close < open));
    let (mut at, mut open) = (0, opened.then_some(0));
    loop {
        let next = |mark: &str| response[at..].find(mark).map(|i| at + i);
        match (open, next(OPEN), next(CLOSE)) {
            (None, Some(start), end) if end.is_none_or(|end| start < end) => {
                (open, at) = (Some(start), start + OPEN.len());
            }
            // A close without an open, first of all: opened by the prompt. Later ones are text.
            (None, _, Some(end)) => {
                at = end + CLOSE.len();
                if found.is_empty() {
                    found.push(0..at as u32);
                }
            }
            (Some(start), _, Some(end)) => {
                (open, at) = (None, end + CLOSE.len());
                found.push(start as u32..at as u32);
            }
            (Some(start), _, None) => {
                found.push(start as u32..response.len() as u32);
                return found;
            }
            (None, _, None) => return found,
        }
    }
}

/// Place in [`REGIONS`] of the token at bytes `start..end`: its last byte decides, as it does for the response.
pub fn region(thinking: &[Range<u32>], start: u32, end: u32, is_end: bool) -> usize {
    let last = end.saturating_sub(1).max(start);
    if is_end {
        END
    } else if thinking.iter().any(|range| range.contains(&last)) {
        THINK
    } else {
        ANSWER
    }
}

#[cfg(test)]
mod tests {
    use super::{REGIONS, region, thinking};

    #[test]
    fn thinking_is_found_however_it_is_cut() {
        let of = |text: &str| -> Vec<String> {
            thinking("", text).into_iter().map(|r| text[r.start as usize..r.end as usize].to_owned()).collect()
        };
        assert_eq!(of("plain"), [""; 0]);
        assert_eq!(of("<think>a</think>b"), ["<think>a</think>"]);
        assert_eq!(of("a</think>b</think>"), ["a</think>"]);
        assert_eq!(of("x<think>a"), ["<think>a"]);
        assert_eq!(of("<think>a</think>b<think>c</think>d"), ["<think>a</think>", "<think>c</think>"]);
        assert_eq!(of("<think><think></think>"), ["<think><think></think>"]);
    }

    #[test]
    fn the_prompt_may_have_opened() {
        let ends = |prompt, response| thinking(prompt, response).iter().map(|r| r.end).collect::<Vec<_>>();
        assert_eq!(ends("Q<think>\n", "cut by length"), [13]);
        assert_eq!(ends("Q<think>\n", "a</think>b"), [9]);
        assert_eq!(ends("<think>x</think> Q", "no thought"), [0; 0]);
    }

    #[test]
    fn the_last_byte_of_a_token_decides() {
        let ranges = thinking("", "<think>a</think>b");
        let at = |start, end, is_end| REGIONS[region(&ranges, start, end, is_end)];
        assert_eq!((at(0, 7, false), at(15, 16, false)), ("think", "think"));
        assert_eq!((at(15, 17, false), at(16, 16, false), at(17, 17, true)), ("answer", "answer", "end"));
    }
}
