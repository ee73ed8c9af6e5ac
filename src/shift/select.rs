//! Which tables are compared with which.
//!
//! Owns the filters, and the parts that both sides have. Refuses to open a table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::comparison::{Heads, NotCompared, title};
use super::damaged::set_apart;
use super::pairs_table::{Exact, exact_of};
use super::reference::reference;
use super::{Options, Partial, Twin, floor, writer};
use crate::error::{Error, Result};
use crate::store::{self, Cell, FoundCell, FoundPair, Manifest};
use crate::study;
use crate::table::Origin;

/// What `Manifest::out` must say.
const PARQUET: &str = "parquet";

/// One model's files of one text, in part order.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub model: String,
    /// What computed the numbers: hashes of config and weights, and the type of products.
    pub weights: (BTreeMap<String, String>, String),
    pub tokens: Vec<PathBuf>,
    pub samples: Vec<PathBuf>,
    /// What the files must say of themselves, in the same order.
    pub origins: Vec<Origin>,
    /// Length of the lists of most likely tokens.
    pub top_k: usize,
    /// Fields of the dataset's rows in the samples tables.
    pub kept: Vec<String>,
    /// Read from another program's files, which may hold more or fewer tokens of a response.
    pub imported: bool,
}

/// Two models on the text that one generation model wrote for one task.
#[derive(Clone, Debug)]
pub(super) struct PairTables {
    pub generation_model: String,
    pub task: String,
    pub p: Table,
    pub q: Table,
    pub partial: Option<Partial>,
    /// Samples are windows of a text, not responses.
    pub of_windows: bool,
    /// Why P cannot have sampled the text, if who wrote it says so.
    pub foreign: Option<String>,
    /// Ids that each can score, if these are not equally many.
    pub heads: Option<Heads>,
    /// Contexts differ by intent.
    pub own_templates: bool,
    /// The exact measures of all the parts that are compared.
    pub exact: Option<Exact>,
    /// What a reader of the figures has to know of the two runs.
    pub notes: Vec<String>,
}

impl PairTables {
    /// Who is compared with whom, on whose text.
    pub fn title(&self) -> String {
        title(&self.p.model, &self.q.model, &self.task, &self.generation_model)
    }

    /// Whether KL(P‖Q) has an upper bound: Q gives every id of P a probability.
    pub fn is_bounded(&self) -> bool {
        self.heads.is_none_or(|heads| heads.no_upper_bound().is_none())
    }

    /// The error that these two tables must not be compared.
    pub fn incomparable(&self, what: impl Into<String>) -> Error {
        let (p, q, task) = (self.p.model.clone(), self.q.model.clone(), self.task.clone());
        Error::Incomparable { p, q, task, what: what.into() }
    }
}

/// What is compared, and what cannot be yet.
#[derive(Default)]
pub(super) struct Selection {
    pub pairs: Vec<PairTables>,
    pub not_compared: Vec<NotCompared>,
}

impl Selection {
    fn add(&mut self, p: &FoundCell, q: &FoundCell, exact: &[FoundPair], foreign: Option<String>) -> Result<()> {
        let failure = not_parquet(p).or_else(|| not_parquet(q));
        let failed = failure.is_some();
        match failure.or_else(|| unfinished(p, q).map(str::to_owned)) {
            None => self.pairs.push(pair(p, q, exact, foreign)?),
            Some(why) => self.not_compared.push(NotCompared {
                generation_model: p.cell.generation_model.clone(),
                task: p.cell.task.clone(),
                p: p.cell.model.clone(),
                q: q.cell.model.clone(),
                why,
                failed,
            }),
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::Usage`] if there are pairs, and none of them can be compared.
    fn checked(self) -> Result<Self> {
        if self.pairs.is_empty() && !self.not_compared.is_empty() {
            return Err(Error::Usage(NotCompared::all(&self.not_compared)));
        }
        Ok(self)
    }
}

/// Every pair that `options` ask for, by generation model, task, P and Q.
///
/// # Errors
/// [`Error::Usage`] if nothing fits, nothing is done on both sides, or P was not scored on some text; those of [`pair`].
pub(super) fn pairs(root: &Path, options: &Options) -> Result<Selection> {
    let exact = store::found_pairs(root)?;
    let (mut cells, damaged) = store::cells_and_damaged(root)?;
    let not_compared = set_apart(&mut cells, &damaged, options);
    let chosen = match (chosen(cells.clone(), &exact, options), damaged.into_iter().next()) {
        // What is damaged may be why.
        (Err(_), Some(first)) => return Err(first.error),
        (chosen, _) => chosen?,
    };
    writer::must_be_heard(&cells, &chosen, options)?;
    let mut selection = Selection { not_compared, ..Selection::default() };
    for [p, q] in chosen {
        let foreign = writer::foreign(&p, &cells, options);
        selection.add(&p, &q, &exact, foreign)?;
    }
    selection.checked()
}

/// P of every text under the first root, with each model under the second.
///
/// # Errors
/// Those of [`pairs`].
pub(super) fn pairs_across([of_p, of_q]: [&Path; 2], options: &Options) -> Result<Selection> {
    let (ps, qs) = (store::cells(of_p)?, store::cells(of_q)?);
    must_have_tasks(&ps, options)?;
    let texts = ps.chunk_by(|a, b| text(a) == text(b));
    let mut selection = Selection::default();
    for models in texts.filter(|models| wanted(&models[0], options)) {
        let qs: Vec<&FoundCell> = qs.iter().filter(|q| text(q) == text(&models[0])).collect();
        if qs.is_empty() {
            continue;
        }
        let p = reference(models, &[], options)?;
        for q in qs {
            selection.add(p, q, &[], None)?;
        }
    }
    let selection = selection.checked()?;
    if selection.pairs.is_empty() {
        return Err(Error::Usage("nothing to compare: no text was scored under both directories".to_owned()));
    }
    Ok(selection)
}

/// What a text is called.
pub(super) fn text(found: &FoundCell) -> (&str, &str) {
    (&found.cell.generation_model, &found.cell.task)
}

/// P and Q of every pair.
pub(super) fn chosen(cells: Vec<FoundCell>, exact: &[FoundPair], options: &Options) -> Result<Vec<[FoundCell; 2]>> {
    must_have_tasks(&cells, options)?;
    let mut texts: BTreeMap<(String, String), Vec<FoundCell>> = BTreeMap::new();
    for found in cells.into_iter().filter(|found| wanted(found, options)) {
        let text = (found.cell.generation_model.clone(), found.cell.task.clone());
        texts.entry(text).or_default().push(found);
    }
    let mut pairs = Vec::new();
    for models in texts.values_mut() {
        models.sort_by(|a, b| a.cell.model.cmp(&b.cell.model));
        let p = reference(models, exact, options)?;
        let mut ps = vec![p];
        ps.extend(models.iter().filter(|other| options.all_pairs && other.cell.model != p.cell.model));
        for (i, p) in ps.iter().enumerate() {
            let is_new = |q: &&FoundCell| ps[..=i].iter().all(|before| before.cell.model != q.cell.model);
            pairs.extend(models.iter().filter(is_new).map(|q| [(*p).clone(), q.clone()]));
        }
        floor::must_be_twins(models, &options.noise_floor)?;
        let of_text = |pairs: &[[FoundCell; 2]]| -> Vec<[String; 2]> {
            let same = pairs.iter().filter(|[p, _]| text(p) == text(&models[0]));
            same.map(|pair| pair.each_ref().map(|found| found.cell.model.clone())).collect()
        };
        for names in floor::pairs(&options.noise_floor, &of_text(&pairs)) {
            let [p, q] = names.each_ref().map(|name| models.iter().find(|model| model.cell.model == *name));
            if let (Some(p), Some(q), false) = (p, q, of_text(&pairs).contains(&names)) {
                pairs.push([p.clone(), q.clone()]);
            }
        }
    }
    if pairs.is_empty() {
        return Err(Error::Usage("nothing to compare: no text was scored by two models".to_owned()));
    }
    let mut of_floors = options.noise_floor.iter().flat_map(|Twin { model, in_f32 }| [model, in_f32]);
    if let Some(absent) = of_floors.find(|name| !texts.values().flatten().any(|found| found.cell.model == **name)) {
        return Err(Error::Usage(format!("--noise-floor: no text was scored by `{absent}`")));
    }
    Ok(pairs)
}

/// A task that was asked for by a name that is none would be missed by nobody.
fn must_have_tasks(cells: &[FoundCell], options: &Options) -> Result<()> {
    let tasks: BTreeSet<&str> = cells.iter().map(|found| found.cell.task.as_str()).collect();
    match options.tasks.iter().find(|task| !tasks.contains(task.as_str())) {
        None => Ok(()),
        Some(absent) => {
            let there: Vec<_> = tasks.iter().map(|task| format!("`{task}`")).collect();
            Err(Error::Usage(format!("no text of task `{absent}` was scored: there is {}", there.join(", "))))
        }
    }
}

fn wanted(found: &FoundCell, options: &Options) -> bool {
    is_wanted(&found.cell, options)
}

/// Whether its text is asked for.
pub(super) fn is_wanted(cell: &Cell, options: &Options) -> bool {
    let fits = |filter: &[String], name: &String| filter.is_empty() || filter.contains(name);
    fits(&options.tasks, &cell.task) && fits(&options.generation_models, &cell.generation_model)
}

/// Why nothing of two tables can be compared before more of them is scored.
pub(super) fn unfinished(p: &FoundCell, q: &FoundCell) -> Option<&'static str> {
    if !is_complete(p, q) && cuts(p) != cuts(q) {
        return Some("a table is not complete, and the two were cut into different parts");
    }
    let is_common = |part| q.parts.contains(part);
    (!p.parts.iter().any(is_common)).then_some("no part is done on both sides")
}

fn is_complete(p: &FoundCell, q: &FoundCell) -> bool {
    p.missing.is_empty() && q.missing.is_empty()
}

/// The files of the parts that both sides have.
fn pair(p: &FoundCell, q: &FoundCell, exact: &[FoundPair], foreign: Option<String>) -> Result<PairTables> {
    let partial = (!is_complete(p, q)).then(|| Partial {
        compared: p.parts.iter().filter(|part| q.parts.contains(part)).count() as u64,
        parts: p.manifest.parts.len() as u64,
        missing_p: p.missing.clone(),
        missing_q: q.missing.clone(),
    });
    let (exact, exact_note) = exact_of(p, q, exact)?;
    Ok(PairTables {
        generation_model: p.cell.generation_model.clone(),
        task: p.cell.task.clone(),
        p: table(p, &q.missing)?,
        q: table(q, &p.missing)?,
        partial,
        of_windows: p.manifest.dataset.window.is_some(),
        foreign,
        heads: heads(p, q),
        own_templates: p.manifest.tokens.has_own_templates(),
        exact,
        notes: [own_note(p), vocabulary_note("P", p), vocabulary_note("Q", q), rank_note(p, q)]
            .into_iter()
            .flatten()
            .chain(arithmetic_note(p, q))
            .chain(exact_note)
            .collect(),
    })
}

/// First sample and number of samples of every part. Files may lie otherwise: an import has its own.
fn cuts(found: &FoundCell) -> Vec<(u32, u32)> {
    found.manifest.parts.iter().map(|part| (part.first_sample, part.samples)).collect()
}

/// Ids that each model can score, where both are known and not the same.
fn heads(p: &FoundCell, q: &FoundCell) -> Option<Heads> {
    let (p, q) = (p.manifest.engine.vocab?, q.manifest.engine.vocab?);
    (p != q).then_some(Heads { p, q })
}

/// Why tables of another format are not compared.
fn not_parquet(found: &FoundCell) -> Option<String> {
    let (model, out) = (&found.cell.model, &found.manifest.out);
    (out != PARQUET).then(|| format!("the tables of `{model}` are {out}: only {PARQUET} can be compared"))
}

fn table(found: &FoundCell, left_out: &[u32]) -> Result<Table> {
    let keep = |files: &[PathBuf]| {
        let both = found.parts.iter().zip(files).filter(|(part, _)| !left_out.contains(part));
        both.map(|(_, path)| path.clone()).collect()
    };
    let digest = found.manifest.digest()?;
    let parts = found.parts.iter().filter(|part| !left_out.contains(part));
    let origins = parts.map(|&part| found.cell.origin(&digest, part)).collect();
    let Manifest { dataset, engine, .. } = &found.manifest;
    Ok(Table {
        model: found.cell.model.clone(),
        weights: (engine.files.clone(), engine.dtype.clone()),
        tokens: keep(&found.tokens),
        samples: keep(&found.samples),
        origins,
        top_k: engine.top_k,
        kept: dataset.keep_fields.clone(),
        imported: engine.name == study::ENGINE,
    })
}

fn own_note(p: &FoundCell) -> Option<String> {
    let note = "contexts differ: each model read its own chat template";
    p.manifest.tokens.has_own_templates().then(|| note.to_owned())
}

/// Two processors that sum in other ways differ without any shift. (Of two types that is what is measured.)
fn arithmetic_note(p: &FoundCell, q: &FoundCell) -> Option<String> {
    let [of_p, of_q] = [p, q].map(|found| &found.manifest.engine);
    if of_p.dtype != of_q.dtype || [of_p, of_q].iter().any(|engine| engine.name == study::ENGINE) {
        return None;
    }
    if of_p.device != of_q.device {
        let (of_p, of_q) = (&of_p.device, &of_q.device);
        return Some(format!(
            "P was scored on {of_p}, Q on {of_q}: bf16 models differ by some 0.02 nats a token between them"
        ));
    }
    let (of_p, of_q) = of_p.arithmetic.as_ref().zip(of_q.arithmetic.as_ref()).filter(|(of_p, of_q)| of_p != of_q)?;
    Some(format!(
        "P was scored with the {of_p} arithmetic, Q with {of_q}: bf16 models differ by some 0.02 nats a token between them \
         (TOKSHIFT_CPU=NAME makes one processor sum like another)"
    ))
}

/// Ids that a model's own tokenizer has for other texts: `score` lets a few through.
fn vocabulary_note(model: &str, found: &FoundCell) -> Option<String> {
    let ids: Vec<String> = found.manifest.engine.other_texts.iter().map(u32::to_string).collect();
    let told = || {
        format!(
            "{model}'s own tokenizer has other texts for the ids {}, which stand for the text's here",
            ids.join(", ")
        )
    };
    (!ids.is_empty()).then(told)
}

/// Ranks that were not counted alike differ without any shift.
fn rank_note(p: &FoundCell, q: &FoundCell) -> Option<String> {
    let (of_p, of_q) = (&p.manifest.engine.rank_rule, &q.manifest.engine.rank_rule);
    (of_p != of_q).then(|| format!("measures of rank mix two rules: P's ranks are {of_p}, Q's are {of_q}"))
}
