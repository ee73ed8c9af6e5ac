//! How PEFT names an adapter's tensors.
//!
//! Owns these names and the role of each tensor. Not here: a model's modules.

/// What PEFT puts before a module's own name.
const PREFIX: &str = "base_model.model.";
/// Why a tensor that has none of these names is rejected.
pub const OTHERS: &str = "is not read: of an adapter, `base_model.model.MODULE.lora_A.weight` and `.lora_B.weight` are, `.lora_embedding_A` and \
     `.lora_embedding_B` of the embedding, and copies of the base's embedding and head";
/// The two halves of a linear map's part, and of the embedding's.
const LINEAR: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];
const EMBEDDING: [&str; 2] = [".lora_embedding_A", ".lora_embedding_B"];
/// The base's own matrix, of a module with a part and of one without.
const BASE: [&str; 2] = [".base_layer.weight", ".weight"];

/// What a tensor is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Linear,
    Embedding,
    /// No part: a copy of what the base has.
    Base,
}

/// A tensor's name.
pub struct Name<'a> {
    /// As the adapter calls it.
    pub module: &'a str,
    pub kind: Kind,
}

/// `None` for a name of no kind.
pub fn parse(name: &str) -> Option<Name<'_>> {
    let rest = name.strip_prefix(PREFIX)?;
    [(Kind::Linear, LINEAR), (Kind::Embedding, EMBEDDING), (Kind::Base, BASE)].into_iter().find_map(
        |(kind, endings)| {
            let module = endings.iter().find_map(|ending| rest.strip_suffix(ending))?;
            Some(Name { module, kind })
        },
    )
}

/// What is added to one module.
pub struct Part {
    /// As the adapter calls it.
    pub module: String,
    /// Not of the base.
    pub kind: Kind,
    pub rank: usize,
    pub scale: f64,
    pub is_used: bool,
}

impl Part {
    /// The names of its two halves.
    pub fn names(&self) -> [String; 2] {
        let endings = if self.kind == Kind::Embedding { EMBEDDING } else { LINEAR };
        endings.map(|ending| format!("{PREFIX}{}{ending}", self.module))
    }
}
