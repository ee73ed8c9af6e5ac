//! Comparing models over tables that the tests write themselves.

mod bounds;
mod figures;
mod fixture;
mod gate;
mod properties;
mod refusals;
mod study;
