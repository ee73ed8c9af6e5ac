//! `tokshift score`: every dataset with every model, one model after the other; the first failure ends it.

use anyhow::Result;

use super::args::{Listed, ScoreArgs};
use super::exit::Exit;
use super::kl::print;
use super::progress::say;
use super::signals;
use super::terminal::Terminal;
use crate::pipeline::WhichParts;
use crate::sample::Status;
use crate::score::{self, PlainText, Request, Scores, Watch};
use crate::shift;

/// Scores every dataset with every model, and says what can be done next.
pub fn run(args: &ScoreArgs) -> Result<Exit> {
    let scores = scored(args)?;
    if let Some(directory) = &args.noise_floor {
        let seen = (&Terminal::new() as &dyn Watch, &signals::stop());
        let measured = score::noise_floor::measure(&request(args), directory, seen)?;
        let in_f32 = || "noise floor 0: all models are computed in f32\n".to_owned();
        print(&measured.as_ref().map_or_else(in_f32, shift::noise_floors))?;
    }
    say(&done(args, &scores));
    Ok(if scores.unscored() == 0 { Exit::Done } else { Exit::Unscored })
}

/// Scores every dataset with every model.
pub fn scored(args: &ScoreArgs) -> Result<Scores> {
    let terminal = Terminal::new().with_rows();
    Ok(score::score(&request(args), &terminal, &signals::stop())?)
}

/// The last line: how to compare, or which samples have no scores.
fn done(args: &ScoreArgs, scores: &Scores) -> String {
    let out = args.output_dir.display();
    if scores.unscored() == 0 {
        return format!("Done. Compare the models with: tokshift kl {out}");
    }
    let counts = || scores.models.iter().flat_map(|model| &model.outcome).map(|outcome| &outcome.counts);
    let with = |status: Status| counts().map(|counts| counts.samples_with(status)).sum::<u64>();
    let all: u64 = Status::ALL.into_iter().map(with).sum();
    let unscored = Status::ALL.into_iter().filter(|status| !status.is_scored()).map(|status| (with(status), status));
    let unscored: Vec<String> =
        unscored.filter(|(n, _)| *n > 0).map(|(n, status)| format!("{n} {}", status.as_str())).collect();
    format!(
        "Done; {} of {all} samples were not scored ({}): see `reason` in {out}/samples. Exit code 4.",
        scores.unscored(),
        unscored.join(", ")
    )
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
        parts: WhichParts { retry_failed: args.retry_failed, shard: args.shard.shard },
        engine: args.engine.choice(),
    }
}
