//! From rows to samples: text to token ids, and which of them are the response.
//!
//! Owns the one tokenisation of a run: the same ids go to every model. An unreadable row does not end the run: the
//! problem becomes its sample's status.

mod around;
mod audit;
mod config_files;
mod bos;
mod bytes;
mod chat;
mod files;
mod gguf;
mod legacy;
mod masked;
mod patterns;
mod read;
mod samples;
mod stripped;
mod tokenizer;
mod versions;
mod written;

pub use audit::Audit;
pub use bos::Bos;
pub use files::FILES as TOKENIZER_FILES;
pub use read::gguf_end_token;
pub use samples::{Boundary, SampleOptions, TooLong, token_text};
pub use tokenizer::TextTokenizer;
