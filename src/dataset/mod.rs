//! Rows of a dataset: what a JSONL line says, and how the file is cut into parts.
//!
//! Owns reading other people's rows. Refuses tokens: a row is text or ids here, `tokenize` makes samples of it.

mod plan;
mod row;

pub use plan::{PART_BYTES, PART_ROWS, Part, Plan, PlanOptions, scan};
pub use row::{Content, ReadRow, Row, RowOptions};
