//! Sorts whose comparison may fail.
//!
//! Owns a stable merge sort, because the standard library's does not specify what happens if the comparison fails or is
//! not an order. Not here: what is sorted.

use super::error::Result;

/// Sorts by `is_less`; what is equal stays in its order.
pub fn sort<T: Clone>(items: &mut [T], mut is_less: impl FnMut(&T, &T) -> Result<bool>) -> Result<()> {
    let mut width = 1;
    while width < items.len() {
        let mut merged = Vec::with_capacity(items.len());
        for pair in items.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
            while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
                let next = if is_less(b, a)? { right.next() } else { left.next() };
                merged.extend(next.cloned());
            }
            merged.extend(left.chain(right).cloned());
        }
        items.clone_from_slice(&merged);
        width *= 2;
    }
    Ok(())
}
