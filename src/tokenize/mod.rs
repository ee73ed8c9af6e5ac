//! From rows to samples: text to token ids, and which of them are the response.
//!
//! Owns the one tokenisation of a run: the same ids go to every model. Refuses to fail over a row: what is wrong with it
//! becomes its sample's status.

mod audit;
mod beside;
mod bytes;
mod chat;
mod gguf;
mod patterns;
mod samples;
mod tokenizer;
mod versions;

pub use audit::Audit;
pub use beside::FILES as TOKENIZER_FILES;
pub use samples::{Boundary, SampleOptions, TooLong, token_text};
pub use tokenizer::{Bos, TextTokenizer, gguf_end_token};
