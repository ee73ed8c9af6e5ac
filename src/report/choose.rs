//! Which samples a page of limited size contains.
//!
//! Owns that choice: half of the room is for the samples that moved most, half for samples by a hash of their names,
//! which says what the others look like. Not here: how many bytes a page has (`write`).

use super::index::IndexRow;
use super::sets::ResponseSet;

/// A sample by the place of its set and its place in it.
type Place = (usize, usize);

/// For each sample of each set whether it is in the page. `costs` are in the unit of `room`.
pub fn chosen(sets: &[ResponseSet], rows: &[Vec<IndexRow>], costs: &[Vec<u64>], room: u64) -> Vec<Vec<bool>> {
    let places = || rows.iter().enumerate().flat_map(|(set, rows)| (0..rows.len()).map(move |sample| (set, sample)));
    let mut chosen: Vec<Vec<bool>> = rows.iter().map(|rows| vec![false; rows.len()]).collect();
    let mut left = room;
    take(&mut chosen, by_shift(rows, places()), costs, room / 2, &mut left);
    let mut by_hash: Vec<_> = places().map(|place| (hash(&sets[place.0], &rows[place.0][place.1]), place)).collect();
    by_hash.sort_unstable();
    let room = left;
    take(&mut chosen, by_hash.into_iter().map(|(_, place)| place).collect(), costs, room, &mut left);
    chosen
}

/// Takes places in their order until one does not fit.
fn take(chosen: &mut [Vec<bool>], places: Vec<Place>, costs: &[Vec<u64>], room: u64, left: &mut u64) {
    let mut taken = 0;
    for (set, sample) in places {
        if chosen[set][sample] {
            continue;
        }
        taken += costs[set][sample];
        if taken > room {
            return;
        }
        chosen[set][sample] = true;
        *left -= costs[set][sample];
    }
}

/// By the size of Σ and by the largest Δ of a token in turn.
fn by_shift(rows: &[Vec<IndexRow>], places: impl Iterator<Item = Place>) -> Vec<Place> {
    let all: Vec<(Place, [f64; 2])> = places.map(|place| (place, rows[place.0][place.1].sizes())).collect();
    let sorted = |size: usize| {
        let mut sorted: Vec<_> = all.iter().collect();
        sorted.sort_by(|a, b| b.1[size].total_cmp(&a.1[size]));
        sorted.into_iter().map(|(place, _)| *place)
    };
    sorted(0).zip(sorted(1)).flat_map(|(by_sum, by_token)| [by_sum, by_token]).collect()
}

fn hash(set: &ResponseSet, row: &IndexRow) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for name in [&set.key.generation_model, &set.key.task] {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
    }
    hasher.update(&row.id.to_le_bytes());
    *hasher.finalize().as_bytes()
}
