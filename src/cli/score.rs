//! `tokshift score`: every dataset with every model, one model after the other; the first failure ends it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use super::Exit;
use super::args::ScoreArgs;
use super::exact::Exact;
use super::inputs::{self, Dataset};
use super::models::{self, Model, Resident};
use super::progress::{self, Display};
use super::session::{Output, Scorer, Session, Text};
use super::text;
use crate::error::Error;
use crate::experiments::{Options, OutFormat};
use crate::store::{self, Cell, FoundCell};
use crate::tokenize::Audit;

/// Scores every dataset with every model.
pub fn run(args: &ScoreArgs) -> Result<Exit> {
    let mut options = args.options.clone();
    if args.exact {
        if options.out() == OutFormat::Jsonl {
            bail!("--exact needs tables of Parquet: leave --out jsonl away");
        }
        options.keep_hidden = Some(true);
    }
    let datasets = inputs::datasets(args)?;
    let models = models::resolve(&args.models)?.into_iter();
    let models = models.map(|named| Model::open(named, &options, args.engine)).collect::<Result<Vec<_>>>()?;
    let session = session(&options, &datasets, &models)?;
    let datasets: Vec<Dataset> = datasets.into_iter().chain(text::dataset(args, &session)?).collect();
    let output = Output::open(&args.output_dir)?;
    let (resident, mut unscored, mut told) = (Resident::default(), 0, BTreeSet::new());
    let mut new = BTreeSet::new();
    for model in &models {
        let name = model.named.name.as_str();
        let text = |dataset| Text { session: &session, output: &output, dataset, model: name };
        let texts: Vec<Text> = datasets.iter().map(text).collect();
        match Scorer::new(model, &Display::of_one(), &resident, args.retry_failed).score(name, &texts)? {
            None => progress::say(&format!("{name}: already scored")),
            Some(outcome) => {
                progress::say(&format!("{name}: {}", outcome.describe()));
                new.insert(name);
                unscored += outcome.counts.unscored();
                tell(&texts, &outcome.audits, &mut told);
            }
        }
    }
    let is_asked = |found: &FoundCell| {
        let Cell { generation_model, task, model } = &found.cell;
        models.iter().any(|scored| scored.named.name == *model)
            && datasets.iter().any(|d| (&d.generation_model, &d.task) == (generation_model, task))
    };
    let asked = || Ok::<_, Error>(store::cells(&output.root)?.into_iter().filter(is_asked).collect::<Vec<_>>());
    if options.out() == OutFormat::TokenLosses {
        asked()?.iter().try_for_each(|found| output.export(found))?;
    }
    if args.exact {
        let order: Vec<&str> = models.iter().map(|model| model.named.name.as_str()).collect();
        compare(args, &asked()?, &order)?;
        if !args.options.keeps_hidden() {
            let_go(&output, asked()?, &new)?;
        }
    }
    Ok(if unscored == 0 { Exit::Done } else { Exit::Unscored })
}

/// Compares every two of the cells of each text exactly; P is the generation model, or else whoever comes first.
fn compare(args: &ScoreArgs, asked: &[FoundCell], order: &[&str]) -> Result<()> {
    let mut pairs = Vec::new();
    for text in
        asked.chunk_by(|a, b| (&a.cell.generation_model, &a.cell.task) == (&b.cell.generation_model, &b.cell.task))
    {
        let place = |found: &FoundCell| {
            let wrote = found.cell.model == found.cell.generation_model;
            (!wrote, order.iter().position(|name| *name == found.cell.model))
        };
        let mut models: Vec<&FoundCell> = text.iter().collect();
        models.sort_by_key(|found| place(found));
        for (index, p) in models.iter().enumerate() {
            pairs.extend(models[index + 1..].iter().map(|q| [(*p).clone(), (*q).clone()]));
        }
    }
    Exact { root: &args.output_dir, models: &args.models, temperature: 1.0, allow_removed: false }.run(&pairs)
}

/// Removes the hidden rows of the models that this run scored.
fn let_go(output: &Output, asked: Vec<FoundCell>, new: &BTreeSet<&str>) -> Result<()> {
    for found in asked.into_iter().filter(|found| !found.hidden.is_empty()) {
        if new.contains(found.cell.model.as_str()) {
            output.store.let_go_hidden(&found)?;
        } else {
            progress::say(&format!("{}: the hidden rows of an earlier run stay", found.cell.model));
        }
    }
    Ok(())
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
fn session(options: &Options, datasets: &[Dataset], models: &[Model]) -> Result<Session> {
    let wrote = |model: &&Model| datasets.iter().any(|dataset| dataset.generation_model == model.named.name);
    let default = || models.iter().find(wrote).or(models.first()).context("--models is empty");
    let tokenizer = match &options.tokenizer {
        Some(source) => inputs::tokenizer_path(source)?,
        None => default()?.named.tokenizer()?,
    };
    Session::new(options, &models.iter().collect::<Vec<_>>(), &tokenizer)
}
