//! Comparing models over tables that the tests write themselves.

mod coverage;
mod figures;
mod fixture;
mod properties;
mod refusals;
mod several;
mod study;
