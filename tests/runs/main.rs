//! Whole runs as people start them: `score`, `run` and `status`, bad input, and runs that are stopped, killed or share a
//! directory. No test here may change its own process (environment, current directory, signals, limits): what needs
//! that starts the binary.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod crash;
mod extended;
mod later;
mod locks;
mod messages;
mod plot;
mod report;
mod run;
mod score;
mod signals;
mod status;
mod understood;
