//! `score --keep-hidden` and `kl --exact` from end to end: every measure against float64, from the kept rows and from
//! Hugging Face, and what happens to files that do not belong together.

#[path = "../common/mod.rs"]
mod common;

mod apart;
mod contradicted;
mod figures;
mod in_one_go;
mod measures;
mod mixed;
mod refusals;
mod resume;
mod runs;
