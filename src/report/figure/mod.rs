//! Figures of a comparison, as papers draw them: SVG, and the same values as CSV.
//!
//! Owns what each figure shows. A report and `plot` use the same functions. Not here: computing the values (`shift`).

mod bars;
mod drawing;
mod kl_by_task;
mod position;
mod svg;
mod values;

pub use bars::{classes, rank_shift, tokens};
pub use drawing::{Figure, mean};
pub use kl_by_task::kl_by_task;
pub use position::position;
pub use values::{distribution, entropy_kl, quantiles};
