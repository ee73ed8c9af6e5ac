//! The result of a comparison, as plain data.

pub mod kl_estimate;
pub mod means;
pub mod between;
pub mod relation;
pub mod exact;
pub mod read_first;
pub mod study;
pub mod weights;
pub mod pair;
pub mod comparison;
pub mod aligned;
