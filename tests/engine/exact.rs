//! `score --keep-hidden` and `kl --exact` from end to end: every measure against float64, from the kept rows and from
//! Hugging Face, and what happens to files that do not belong together.

mod apart;
mod contradicted;
mod cost;
mod figures;
mod flat;
mod in_one_go;
mod inputs;
mod temporary_hidden;
mod measures;
mod mixed;
mod rejections;
mod resume;
mod runs;
