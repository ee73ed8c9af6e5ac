//! The block with one row per sample of a response set.
//!
//! Owns what a list of samples shows and sorts by, and the strip of each response: 60 bins, each with its largest
//! change of log-probability. Not here: single tokens (`tokens`).

use super::block::Kind;
use super::columns::Columns;
use super::part::{Class, Part, Sample};

/// Bins of a strip.
pub const BINS: usize = 60;

/// Sizes of a change of log-probability, in nats, at which a colour begins.
pub const COLOURS: [f64; 5] = [0.1, 0.3, 1.0, 3.0, 5.0];

/// The level of a strip's bin without any change.
const MIDDLE: u8 = COLOURS.len() as u8;

/// Characters of a prompt's end and of a response's beginning in the list.
const EXCERPT: usize = 120;

/// One sample in the list.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexRow {
    pub id: u32,
    pub row: u32,
    pub turn: u32,
    pub row_id: String,
    pub tokens: u32,
    pub is_cut: bool,
    pub prompt: String,
    pub response: String,
    pub kept: Vec<String>,
    /// For each Q.
    pub shifts: Vec<Shift>,
}

/// How far one response moved between P and one Q.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// Tokens that both scored.
    pub tokens: u32,
    /// Σ ln q − ln p over the response, nats.
    pub delta: f64,
    /// Σ KL(P‖Q), exact, nats; NaN if unknown.
    pub kl: f64,
    /// The largest change of a token's log-probability with its sign, and its place in the response.
    pub most: f64,
    pub most_at: u32,
    /// Shifted tokens, of those that have a class.
    pub shifted: u32,
    pub classed: u32,
    /// A level per bin: 5 no change, above it Q likelier.
    pub strip: [u8; BINS],
}

impl IndexRow {
    /// The row of a sample of a part.
    pub fn of(part: &Part, sample: &Sample) -> Self {
        let row = &sample.row;
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
        Self {
            id: row.id,
            row: row.row,
            turn: row.turn,
            row_id: text(&row.row_id),
            tokens: sample.tokens.len() as u32,
            is_cut: row.is_cut,
            prompt: end(row.prompt.as_deref().unwrap_or_default()),
            response: beginning(&response(part, sample)),
            kept: row.kept.iter().map(text).collect(),
            shifts: (0..part.others.len()).map(|q| Shift::of(part, sample, q)).collect(),
        }
    }

    /// What decides how early a sample is read: the largest |Σ| and the largest |Δ| over all Qs.
    pub fn sizes(&self) -> [f64; 2] {
        let largest = |size: fn(&Shift) -> f64| self.shifts.iter().map(size).fold(0.0, f64::max);
        [largest(|shift| shift.delta.abs()), largest(|shift| shift.most.abs())]
    }
}

/// The beginning of a response: of its tokens where no text is known.
fn response(part: &Part, sample: &Sample) -> String {
    if let Some(response) = &sample.row.response {
        return response.chars().take(2 * EXCERPT).collect();
    }
    sample.tokens.clone().take(EXCERPT).filter_map(|row| part.rows.texts[row].as_deref()).collect()
}

impl Shift {
    fn of(part: &Part, sample: &Sample, q: usize) -> Self {
        let n = sample.tokens.len();
        let mut shift = Self {
            tokens: 0,
            delta: 0.0,
            kl: 0.0,
            most: 0.0,
            most_at: 0,
            shifted: 0,
            classed: 0,
            strip: [MIDDLE; BINS],
        };
        let mut bins = [0.0_f64; BINS];
        for (i, row) in sample.tokens.clone().enumerate() {
            let class = part.class(q, row);
            shift.classed += u32::from(class != Class::Unknown);
            shift.shifted += u32::from(class == Class::Shifted);
            let delta = part.delta(q, row);
            if delta.is_nan() {
                continue;
            }
            shift.tokens += 1;
            shift.delta += delta;
            shift.kl += part.exact(q, row);
            if delta.abs() > shift.most.abs() {
                (shift.most, shift.most_at) = (delta, i as u32);
            }
            let bin = &mut bins[i * BINS / n.max(BINS)];
            if delta.abs() > bin.abs() {
                *bin = delta;
            }
        }
        if shift.tokens == 0 {
            shift.kl = f64::NAN;
        }
        shift.strip = bins.map(level);
        shift
    }
}

/// The colour of a change: 0 to 4 Q less likely, 5 none, 6 to 10 Q likelier.
pub fn level(delta: f64) -> u8 {
    let steps = COLOURS.iter().filter(|from| delta.abs() >= **from).count() as u8;
    if delta < 0.0 { MIDDLE - steps } else { MIDDLE + steps }
}

/// The last characters of a text on one line.
fn end(text: &str) -> String {
    let from = text.char_indices().rev().nth(2 * EXCERPT).map_or(0, |(i, _)| i);
    let words = one_line(&text[from..]);
    let cut = words.char_indices().rev().nth(EXCERPT - 1).map_or(0, |(i, _)| i);
    words[cut..].to_owned()
}

/// The first characters of a text on one line.
fn beginning(text: &str) -> String {
    one_line(text).chars().take(EXCERPT).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The columns of a list: number of rows; then column by column, as [`IndexRow`] has them, and those of each Q's
/// [`Shift`], two bins of a strip in a byte.
pub fn columns(rows: &[&IndexRow], kept: usize, qs: usize) -> Vec<u8> {
    let mut columns = Columns::new(Kind::Index as u8);
    columns.count(rows.len());
    let numbers = |of: fn(&IndexRow) -> u32| rows.iter().map(|row| of(row)).collect::<Vec<_>>();
    columns.numbers::<4>(&numbers(|row| row.id));
    columns.numbers::<4>(&numbers(|row| row.row));
    columns.numbers::<4>(&numbers(|row| row.turn));
    columns.numbers::<4>(&numbers(|row| row.tokens));
    columns.bytes(rows.iter().map(|row| u8::from(row.is_cut)));
    columns.texts(rows.iter().map(|row| row.row_id.as_str()));
    columns.texts(rows.iter().map(|row| row.prompt.as_str()));
    columns.texts(rows.iter().map(|row| row.response.as_str()));
    for field in 0..kept {
        columns.texts(rows.iter().map(|row| row.kept[field].as_str()));
    }
    for q in 0..qs {
        let shifts = || rows.iter().map(|row| &row.shifts[q]);
        let numbers = |of: fn(&Shift) -> u32| shifts().map(of).collect::<Vec<_>>();
        columns.numbers::<4>(&numbers(|shift| shift.tokens));
        columns.floats(shifts().map(|shift| shift.delta as f32));
        columns.floats(shifts().map(|shift| shift.kl as f32));
        columns.floats(shifts().map(|shift| shift.most as f32));
        columns.numbers::<4>(&numbers(|shift| shift.most_at));
        columns.numbers::<4>(&numbers(|shift| shift.shifted));
        columns.numbers::<4>(&numbers(|shift| shift.classed));
        columns.bytes(shifts().flat_map(|shift| shift.strip.chunks(2).map(|two| two[0] | two[1] << 4)));
    }
    columns.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_colours() {
        assert_eq!([0.0, 0.09, 0.1, 0.3, 1.0, 3.0, 5.0, 50.0].map(level), [5, 5, 6, 7, 8, 9, 10, 10]);
        assert_eq!([-0.09, -0.1, -2.0, -9.0].map(level), [5, 4, 2, 0]);
    }

    #[test]
    fn excerpts_are_one_line_of_whole_characters() {
        let text = format!("a\n\tb  {}", "é".repeat(300));
        assert_eq!(end(&text), "é".repeat(EXCERPT));
        assert_eq!(beginning(&text), format!("a b {}", "é".repeat(EXCERPT - 4)));
        assert_eq!((end("x y"), beginning("")), ("x y".to_owned(), String::new()));
    }
}
