//! Arguments of `tokshift view`.

use clap::Parser;

use super::which::{ShownArgs, WhichArgs};

/// Serve the page of `report` to a browser on this machine, straight from the tables, for any number of tokens
///
/// It listens on 127.0.0.1 alone. The printed address contains a random key without which nothing is answered, because
/// every user of a machine reaches its loopback. From another machine: `ssh -L PORT:localhost:PORT HOST`.
#[derive(Debug, Parser)]
#[command(after_help = VIEW_EXAMPLES)]
pub struct ViewArgs {
    #[command(flatten)]
    pub which: WhichArgs,

    #[command(flatten)]
    pub shown: ShownArgs,

    /// The port to listen on [default: any that is free]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
}

const VIEW_EXAMPLES: &str = "\
Examples:
  tokshift view out
  tokshift view out --port 4114 --task coqa      # here: ssh -L 4114:localhost:4114 HOST

Ctrl-C ends it. Exit codes: 1 error; 2 wrong usage.";
