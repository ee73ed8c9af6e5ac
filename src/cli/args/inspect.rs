//! Arguments of `tokshift inspect`.

use clap::{ArgAction, Parser};

/// Show how tokshift reads a model: architecture, dtype, parameters, tokenizer, memory
#[derive(Debug, Parser)]
pub struct InspectArgs {
    /// A model directory, a .gguf file, ORG/NAME[@REVISION], or BASE+ADAPTER_DIR
    #[arg(value_name = "MODEL")]
    pub model: String,

    /// Print everything as JSON
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}
