//! `tokshift score`: every dataset with every model, one model after the other; the first failure ends it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use super::Exit;
use super::args::{Listed, ScoreArgs};
use super::exact::Exact;
use super::in_one_go::InOneGo;
use super::inputs::{self, Dataset};
use super::models::{Model, Resident};
use super::named;
use super::progress::{self, Display};
use super::scorer::Scorer;
use super::session::{self, Output, Session, Text};
use super::text;
use crate::experiments::OutFormat;
use crate::tokenize::Audit;

/// Scores every dataset with every model.
pub fn run(args: &ScoreArgs) -> Result<Exit> {
    let datasets = inputs::datasets(args)?;
    let models = models(args)?;
    let session = session(args, &datasets, &models)?;
    let datasets: Vec<Dataset> = datasets.into_iter().chain(text::dataset(args, &session)?).collect();
    let output = Output::open(&args.output_dir)?;
    let in_one_go = InOneGo::new(&output.root, &models, &datasets);
    let typed = Listed::all(&args.models);
    let exact = exact(args, &typed);
    let begun = exact.as_ref().map(|exact| in_one_go.begin(exact, &output.store)).transpose()?.unwrap_or_default();
    let (resident, mut unscored, mut told) = (Resident::default(), 0, BTreeSet::new());
    for model in &models {
        let name = model.named.name.as_str();
        let text = |dataset| {
            let text = Text { session: &session, output: &output, dataset, model: name, again: &session::NONE };
            Text { again: begun.again.get(&text.cell()).unwrap_or(&session::NONE), ..text }
        };
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
    if session.options.out() == OutFormat::TokenLosses {
        in_one_go.cells()?.iter().try_for_each(|found| output.export(found))?;
    }
    if let Some(exact) = &exact {
        in_one_go.compare(exact, &output.store, begun)?;
    }
    Ok(if unscored == 0 { Exit::Done } else { Exit::Unscored })
}

/// How the models are compared, if they are.
fn exact<'a>(args: &'a ScoreArgs, models: &'a [String]) -> Option<Exact<'a>> {
    let ScoreArgs { output_dir: root, allow_removed, .. } = args;
    args.exact.then_some(Exact { root, models, temperature: 1.0, allow_removed: *allow_removed })
}

/// The models, opened.
fn models(args: &ScoreArgs) -> Result<Vec<Model>> {
    let (models, options) = (named::resolve(&Listed::all(&args.models))?, args.options.options());
    if args.exact && models.len() < 2 {
        bail!("--exact compares models with one another: give two in --models");
    }
    if args.exact && options.out() == OutFormat::Jsonl {
        bail!("--exact needs tables of Parquet: leave --out jsonl away");
    }
    let models = models.into_iter().map(|named| {
        let model = Model::open(named, &options, args.engine)?;
        if args.exact { model.lending() } else { Ok(model) }
    });
    models.collect()
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
    let options = args.options.options();
    let tokenizer = match &options.tokenizer {
        Some(source) => inputs::tokenizer_path(source)?,
        None => default()?.named.tokenizer()?,
    };
    Session::new(&options, &models.iter().collect::<Vec<_>>(), &tokenizer)
}
