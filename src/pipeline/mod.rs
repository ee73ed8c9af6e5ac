//! stub
pub mod flow;
mod progress;
