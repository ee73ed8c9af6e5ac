//! Arguments of `tokshift demo`.

use std::path::PathBuf;

use clap::Parser;

/// Score and compare three tiny built-in models; takes seconds
#[derive(Debug, Parser)]
pub struct DemoArgs {
    /// Directory for the models, datasets and tables
    #[arg(long, alias = "output_dir", default_value = "tokshift-demo", value_name = "DIR")]
    pub output_dir: PathBuf,
}
