//! Lazy queries over the joined tables: the definition of every statistic over tokens.

pub mod batches;
pub mod joined;
pub mod by_sample;
pub mod look_up;
