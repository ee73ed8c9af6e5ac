//! From tables to figures: the output directory, `verify`, `kl` and every comparison.

#[path = "../common/mod.rs"]
mod common;

mod align;
mod comparison;
mod demo;
mod floor;
mod json;
mod kl;
mod shift;
mod store;
mod verify;
