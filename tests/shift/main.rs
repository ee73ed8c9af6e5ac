//! Comparing models over tables that the tests write themselves.

mod figures;
mod fixture;
mod properties;
mod refusals;
mod study;
