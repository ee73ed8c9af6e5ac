//! Arguments of `tokshift demo`.

use std::path::PathBuf;

use clap::Parser;

/// Score and compare three tiny models that the program carries: a tour in a minute
#[derive(Debug, Parser)]
pub struct DemoArgs {
    /// Where models, datasets and tables go
    #[arg(long, alias = "output_dir", default_value = "tokshift-demo", value_name = "DIR")]
    pub output_dir: PathBuf,
}
