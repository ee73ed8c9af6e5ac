//! From rows to samples: text to token ids, and which of them are the response.
//!
//! Owns the one tokenisation of a run: the same ids go to every model. Refuses to fail over a row: what is wrong with it
//! becomes its sample's status.

mod audit;
mod bytes;
mod chat;
mod gguf;
mod samples;
mod tokenizer;

pub use audit::Audit;
pub use samples::{Boundary, SampleOptions, TooLong, token_text};
pub use tokenizer::{TextTokenizer, gguf_end_token};
