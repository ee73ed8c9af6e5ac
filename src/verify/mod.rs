//! Whether an output directory contains what its manifests promise, and what to delete where it does not.
//!
//! Owns the pass over everything that was published: every page is read again, and every row is checked by itself,
//! against its sample, its part and the other models of its response set. Nothing is repaired: `verify` names files,
//! and people delete them. Memory does not grow with the tables: each thread has one part's samples and one batch of
//! tokens.

mod agree;
mod hidden;
mod manifests;
mod numbers;
mod pairs;
mod report;
mod rows;
mod samples;
mod scored;
mod source;
mod tokens;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use report::{Checked, Finding, Kind, Problem, Report};

use agree::Given;
use numbers::Rules;
use report::Findings;
use source::{Broken, Source, guarded};
use tokens::Ids;

use crate::dataset::Part;
use crate::engine::RANK_STRICT;
use crate::error::Result;
use crate::store::{self, IMPORT, Inventory, ListedCell, Manifest, PartFiles, ResultFile};
use crate::table::{self, Columns, Origin, TokenColumns};

/// The engine whose tables lack nothing.
const LOCAL: &str = "local";
/// That of numbers which a logits file of llama.cpp has.
const LOGITS_FILE: &str = "llama-logits";

/// Reads everything under `root` again.
///
/// # Errors
/// No such directory, no runs in it, folders that cannot be listed. What is wrong with files is in the report.
pub fn verify(root: &Path) -> Result<Report> {
    let Inventory { response_sets, cells, pairs, strays, leftovers } = store::inventory(root)?;
    let (mut findings, mut checked) = (Findings::default(), Checked::default());
    let mut redo = manifests::check(&response_sets, &cells, &mut findings);
    for text in cells.chunk_by(|a, b| a.cell.set == b.cell.set) {
        let parts = text.iter().map(|cell| cell.parts.len()).max().unwrap_or_default();
        let found: Vec<OfPart> = (0..parts).into_par_iter().map(|part| of_part(text, part)).collect();
        for of_part in found {
            findings.extend(of_part.findings);
            checked.add(of_part.checked);
            redo.extend(of_part.redo);
        }
    }
    for pair in &pairs {
        redo.extend(pairs::check(pair, &cells, &mut findings));
    }
    checked.cells = cells.len() as u64;
    checked.unscored_texts = response_sets.iter().filter(|text| text.is_unscored(&cells)).count() as u64;
    for (kind, files, what) in [
        (Kind::Stray, strays, "no manifest explains it"),
        (Kind::Leftover, leftovers, "a process that has ended left it; the next run deletes it"),
    ] {
        for file in files {
            if kind == Kind::Stray && !store::is_result_name(&file) {
                let what = format!("{what}, and tokshift gives no file such a name: move it elsewhere");
                findings.of_file(kind, &file, what);
            } else if is_safe(&file) {
                findings.of_file(kind, &file, what);
                redo.push(file);
            } else {
                findings.of_file(
                    kind,
                    &file,
                    format!("{what}; remove it by hand: its name contains control characters"),
                );
            }
        }
    }
    let mut seen = BTreeSet::new();
    redo.retain(|file| seen.insert(file.clone()));
    Ok(Report { checked, problems: findings.into_problems(), redo })
}

/// Whether the name is UTF-8 without control characters: with a line break in it, a script that reads lines would delete
/// another file.
fn is_safe(file: &Path) -> bool {
    file.to_str().is_some_and(|name| !name.chars().any(char::is_control))
}

/// What was found in one part of every model of a response set.
#[derive(Default)]
struct OfPart {
    findings: Findings,
    checked: Checked,
    redo: Vec<PathBuf>,
}

fn of_part(text: &[ListedCell], part: usize) -> OfPart {
    let mut found = OfPart::default();
    let mut given = Vec::new();
    let mut wrong = BTreeSet::new();
    let mut files = Vec::new();
    for cell in text {
        let (Ok(manifest), Some(paths)) = (&cell.manifest, cell.parts.get(part)) else { continue };
        if !paths.is_done() {
            found.checked.unfinished_parts += 1;
            continue;
        }
        found.checked.parts += 1;
        let mut findings = Findings::default();
        let Ok(digest) = manifest.digest() else { continue };
        let origin = cell.cell.origin(&digest, part as u32);
        let one = OnePart { manifest, part: &manifest.parts[part], paths, origin };
        let ids = one.check(&mut findings, &mut found.checked);
        if !findings.is_empty() {
            wrong.insert(files.len());
        }
        found.findings.extend(findings);
        files.push(paths);
        let own_context = manifest.tokens.has_own_templates();
        given.push(Given { model: &cell.cell.model, path: paths.tokens.path(), ids, own_context });
    }
    wrong.extend(agree::check(&given, &mut found.findings));
    for paths in wrong.into_iter().map(|index| files[index]) {
        found.redo.extend(paths.all().filter(|file| file.exists()).map(|file| file.path().to_owned()));
    }
    found
}

/// A part of one model.
struct OnePart<'a> {
    manifest: &'a Manifest,
    part: &'a Part,
    paths: &'a PartFiles,
    /// What its files must say of themselves.
    origin: Origin,
}

impl OnePart<'_> {
    /// Reads both tables; gives the ids of its scored samples.
    fn check(&self, findings: &mut Findings, checked: &mut Checked) -> Vec<Ids> {
        let (samples, tokens) = (&self.paths.samples, &self.paths.tokens);
        if !samples.exists() {
            findings.of_file(Kind::Missing, samples.path(), "is missing, though its tokens are there: was it deleted?");
        }
        let (mut samples_hash, mut tokens_hash) = (None, None);
        let of_samples = samples.exists().then(|| {
            guarded(samples.path(), findings, |findings| {
                let source = self.open(samples, &self.manifest.dataset.keep_fields)?;
                samples_hash = table::as_scored(source.origin.as_ref(), source.hash.clone());
                samples::read(samples.path(), source, self.part, findings)
            })
        });
        let of_samples = of_samples.flatten();
        checked.samples += of_samples.as_ref().map_or(0, |samples| samples.len() as u64);
        let ids = guarded(tokens.path(), findings, |findings| {
            let source: Source<TokenColumns> = self.open(tokens, &[])?;
            tokens_hash.clone_from(&source.hash);
            let named = source.origin.as_ref().and_then(|origin| origin.samples.as_deref());
            if let Some(what) = table::parted_from(named, samples.path(), samples_hash.as_deref()) {
                findings.of_file(Kind::Mixed, tokens.path(), what);
            }
            let Some(of_samples) = &of_samples else {
                // Nothing to compare rows with, but whether they can be read shows all the same.
                let rows = source.batches.map(|batch| Ok(batch?.rows as u64));
                checked.tokens += rows.sum::<Result<u64, Broken>>()?;
                return Ok(Vec::new());
            };
            let mut walk = tokens::Walk::new(tokens.path(), of_samples, self.rules(), findings);
            walk.run(source)?;
            checked.tokens += walk.rows;
            Ok(walk.ids)
        });
        checked.parts_without_hidden +=
            u64::from(self.manifest.engine.keep_hidden.is_some() && self.paths.hidden.is_none());
        if let Some(file) = &self.paths.hidden {
            let (samples, tokens) = (of_samples.as_deref().unwrap_or_default(), tokens_hash.as_deref());
            guarded(file.path(), findings, |_| hidden::check(file, samples, &self.origin, tokens));
        }
        ids.unwrap_or_default()
    }

    fn open<C: Columns + 'static>(&self, file: &ResultFile, kept: &[String]) -> Result<Source<C>, Broken> {
        source::open(file, kept, Some(&self.origin))
    }

    fn rules(&self) -> Rules {
        let engine = &self.manifest.engine;
        Rules {
            is_recorded: engine.name == IMPORT,
            is_whole: engine.name == LOCAL,
            top_k: engine.top_k,
            vocab: engine.vocab,
            strict_ranks: engine.rank_rule == RANK_STRICT,
            is_in_steps: engine.name == LOGITS_FILE,
        }
    }
}
