//! Which response sets and models `report`, `view`, `show` and `plot` are about.

use std::path::PathBuf;

use clap::Args;

use crate::shift;

/// The tables of an output directory that a command reads.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// The output directory of `score`, `run` or `import`
    #[arg(value_name = "DIR")]
    pub output_dir: PathBuf,

    /// Only these tasks [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub task: Vec<String>,

    /// Only responses that this model wrote
    #[arg(long, alias = "generation_model", value_name = "NAME")]
    pub generation_model: Option<String>,

    /// P, the model that all others are compared with [default: as for `kl`]
    #[arg(long, value_name = "NAME")]
    pub reference: Option<String>,
}

impl WhichArgs {
    /// As the library has them.
    pub fn options(&self) -> shift::Options {
        shift::Options {
            reference: self.reference.clone(),
            tasks: self.task.clone(),
            generation_models: self.generation_model.iter().cloned().collect(),
            ..shift::Options::default()
        }
    }
}

/// The models and texts that a reader shows.
#[derive(Debug, Args)]
pub struct ShownArgs {
    /// The models that are shown with P, up to three [default: the first three by name]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub models: Vec<String>,

    /// The tokenizer that made the token ids: a `tokenizer.json` or a .gguf file
    ///
    /// The tables contain the texts of the response's tokens. Only a tokenizer has those of all ids in the lists of most
    /// likely tokens; without it, ids that occur nowhere as a token are shown as #ID.
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
}
