//! Comparing models over tables that the tests write themselves.

// Builders read better as methods that take their pieces.
#![allow(clippy::unused_self, clippy::needless_pass_by_value)]

mod between;
mod bounds;
mod coverage;
mod directions;
mod figures;
mod fixture;
mod gate;
mod missing;
mod own_text;
mod properties;
mod rejections;
mod relations;
mod selected;
mod screen;
mod several;
mod slices;
mod study;
