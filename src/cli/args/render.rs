//! Arguments of `tokshift render`.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

use crate::template::{Kwargs, NaiveDate};

/// Render conversations with a chat template: the prompt, the response and the end of each turn
#[derive(Debug, Parser)]
#[command(after_help = RENDER_EXAMPLES)]
pub struct RenderArgs {
    /// A chat template's file (with special tokens from the files next to it), a model directory, a .gguf file or
    /// ORG/NAME[@REVISION]
    #[arg(value_name = "TEMPLATE")]
    pub template: String,

    /// Conversations, one JSON value after another: `{messages, tools, chat_template_kwargs}`, or a list of
    /// messages
    #[arg(long, value_name = "FILE")]
    pub messages: PathBuf,

    /// Date that a template's `strftime_now` returns [default: 2024-07-26]
    #[arg(long, alias = "chat_date", value_name = "YYYY-MM-DD")]
    pub chat_date: Option<NaiveDate>,

    /// More variables for the template, as a JSON object. A conversation's own `chat_template_kwargs` take precedence
    #[arg(long, alias = "chat_template_kwargs", value_name = "JSON")]
    pub chat_template_kwargs: Option<Kwargs>,

    /// Print one JSON object per conversation
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}

const RENDER_EXAMPLES: &str = "\
Examples:
  tokshift render Qwen/Qwen3-0.6B --messages chats.jsonl
  tokshift render ./rl/chat_template.jinja --messages chats.jsonl --json \\
      | jq -r '.turns[].response'

Exit codes: 0 done; 1 error, or a conversation cannot be rendered; 2 wrong
usage.";
