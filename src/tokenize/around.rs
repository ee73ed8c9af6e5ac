//! The words around a message in a chat.
//!
//! Owns this type alone, which a tokenizer keeps. Not here: how the words are found (`stripped`).

/// What a chat template writes around a user's message, decoded without special tokens.
pub struct Around {
    /// The last line before the message that has a letter: a role's name.
    pub before: String,
    /// All that stands between the message and the response, without white space around it: the other role's name.
    pub after: String,
}
