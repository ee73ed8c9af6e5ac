//! The noise floors of a comparison, as text for a terminal.
//!
//! Owns the choice of pairs. Not here: the lines of one floor (`detail`).

use super::detail::noise_floor;
use crate::shift::result::comparison::Comparison;

/// A paragraph for every pair that has a noise floor: what rounding alone gives, and the pair's KL in f32.
pub fn noise_floors(comparison: &Comparison) -> String {
    let floors = comparison.pairs.iter().filter_map(|pair| Some((pair, pair.noise_floor.as_ref()?)));
    let lines = floors.flat_map(|(pair, floor)| {
        let notes = pair.notes.iter().filter(|note| note.contains("noise floor")).map(|note| format!("note: {note}"));
        let title = format!("{}, {} samples", pair.title(), pair.samples);
        std::iter::once(title).chain(noise_floor(floor).into_iter().chain(notes).map(|line| format!("  {line}")))
    });
    lines.map(|line| line + "\n").collect()
}
