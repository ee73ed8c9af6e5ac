//! From the sums and queries of a pair to its statistics.

pub mod check;
pub mod perplexity;
pub mod contradictions;
pub mod estimate;
pub mod slices;
pub mod relations;
pub mod rounding;
pub mod read_first;
pub mod moved;
pub mod exact;
pub mod study_pairing;
pub mod pair;
pub mod floor;
pub mod differences;
pub mod between;
pub mod overall;
