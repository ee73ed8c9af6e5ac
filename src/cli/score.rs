//! `tokshift score`: every dataset with every model, one model after the other; the first failure ends it.

use anyhow::Result;

use super::args::{Listed, ScoreArgs};
use super::exit::Exit;
use super::signals;
use super::terminal::Terminal;
use crate::score::{self, PlainText, Request};

/// Scores every dataset with every model.
pub fn run(args: &ScoreArgs) -> Result<Exit> {
    let terminal = Terminal::new().with_rows();
    let scores = score::score(&request(args), &terminal, &signals::stop())?;
    Ok(if scores.unscored() == 0 { Exit::Done } else { Exit::Unscored })
}

/// As the library has it.
fn request(args: &ScoreArgs) -> Request {
    let window = args.text.window;
    Request {
        datasets: Listed::all(&args.dataset),
        text: args.text.text.clone().map(|path| PlainText { path, window }),
        models: Listed::all(&args.models),
        output_dir: args.output_dir.clone(),
        generation_model: args.generation_model.clone(),
        task: args.task.clone(),
        options: args.options.options(),
        exact: args.exact,
        all_pairs: args.all_pairs,
        allow_removed: args.allow_removed,
        replace: args.replace,
        retry_failed: args.retry_failed,
        engine: args.engine.choice(),
    }
}
