//! The block with the prompts and responses of some samples.
//!
//! Owns that a prompt of several responses stands there once. The page searches these blocks alone.

use super::block::Kind;
use super::columns::Columns;
use super::part::Part;

/// The columns of some samples of a part: number of samples and of prompts; the prompts; the place of each sample's
/// prompt; the responses.
pub fn columns(part: &Part, samples: &[usize]) -> Vec<u8> {
    let mut prompts: Vec<&str> = Vec::new();
    let mut places = Vec::with_capacity(samples.len());
    let rows = || samples.iter().map(|&sample| &part.samples[sample].row);
    for row in rows() {
        let prompt = row.prompt.as_deref().unwrap_or_default();
        // Responses to one prompt stand together.
        if prompts.last() != Some(&prompt) {
            prompts.push(prompt);
        }
        places.push(prompts.len() as u32 - 1);
    }
    let mut columns = Columns::new(Kind::Texts as u8);
    columns.count(samples.len());
    columns.count(prompts.len());
    columns.texts(prompts);
    columns.numbers::<4>(&places);
    columns.texts(rows().map(|row| row.response.as_deref().unwrap_or_default()));
    columns.finish()
}
