//! `tokshift score`: every dataset with every model, one model after the other; the first failure ends it.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::Exit;
use super::args::ScoreArgs;
use super::inputs::{self, Dataset};
use super::models::{self, Model, Resident};
use super::progress::{self, Display};
use super::session::{Output, Scorer, Session, Text};
use super::text;
use crate::experiments::OutFormat;
use crate::store::{self, Cell, FoundCell};
use crate::tokenize::Audit;

/// Scores every dataset with every model.
pub fn run(args: &ScoreArgs) -> Result<Exit> {
    let datasets = inputs::datasets(args)?;
    let models = models::resolve(&args.models)?.into_iter();
    let models = models.map(|named| Model::open(named, &args.options, args.engine)).collect::<Result<Vec<_>>>()?;
    let session = session(args, &datasets, &models)?;
    let datasets: Vec<Dataset> = datasets.into_iter().chain(text::dataset(args, &session)?).collect();
    let output = Output::open(&args.output_dir)?;
    let (resident, mut unscored, mut told) = (Resident::default(), 0, BTreeSet::new());
    for model in &models {
        let name = model.named.name.as_str();
        let text = |dataset| Text { session: &session, output: &output, dataset, model: name };
        let texts: Vec<Text> = datasets.iter().map(text).collect();
        match Scorer::new(model, &Display::of_one(), &resident, args.retry_failed).score(name, &texts)? {
            None => progress::say(&format!("{name}: already scored")),
            Some(outcome) => {
                progress::say(&format!("{name}: {}", outcome.describe()));
                unscored += outcome.counts.unscored();
                tell(&texts, &outcome.audits, &mut told);
            }
        }
    }
    if args.options.out() == OutFormat::TokenLosses {
        let is_asked = |found: &&FoundCell| {
            let Cell { generation_model, task, model } = &found.cell;
            models.iter().any(|scored| scored.named.name == *model)
                && datasets.iter().any(|d| (&d.generation_model, &d.task) == (generation_model, task))
        };
        store::cells(&output.root)?.iter().filter(is_asked).try_for_each(|found| output.export(found))?;
    }
    Ok(if unscored == 0 { Exit::Done } else { Exit::Unscored })
}

/// Says what was noticed of each text's rows, unless it was said of another model.
fn tell(texts: &[Text], audits: &[Audit], told: &mut BTreeSet<String>) {
    for (text, audit) in texts.iter().zip(audits) {
        let Dataset { generation_model, task, .. } = text.dataset;
        for line in audit.lines() {
            let line = format!("  {generation_model}_{task}: {line}");
            if !told.contains(&line) {
                progress::say(&line);
                told.insert(line);
            }
        }
    }
}

/// The one tokenizer for every model: the one asked for, else the generation model's, else the first model's.
fn session(args: &ScoreArgs, datasets: &[Dataset], models: &[Model]) -> Result<Session> {
    let wrote = |model: &&Model| datasets.iter().any(|dataset| dataset.generation_model == model.named.name);
    let default = || models.iter().find(wrote).or(models.first()).context("--models is empty");
    let tokenizer = match &args.options.tokenizer {
        Some(source) => inputs::tokenizer_path(source)?,
        None => default()?.named.tokenizer()?,
    };
    Session::new(&args.options, &models.iter().collect::<Vec<_>>(), &tokenizer)
}
