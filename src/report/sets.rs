//! Which response sets, models and files a report is about.
//!
//! Owns the choice of up to four models per response set, P first, and which files each part has. Not here: which
//! tables can be compared (`shift`), and reading them (`tables`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{Error, Result};
use crate::shift::{ModelTable, PairTables};
use crate::store::{self, FoundCell, ResponseSetKey, ResultFile};

/// Models that a page shows side by side.
pub const MODELS: usize = 4;

/// One generation model's responses to one task, and the models that are compared on them.
pub struct ResponseSet {
    pub key: ResponseSetKey,
    /// P, then each Q.
    pub models: Vec<Model>,
    /// P with each Q: the files of exact measures by part, if there are any.
    pub exact: Vec<BTreeMap<u32, ResultFile>>,
    /// Names of the dataset's fields that the samples table keeps.
    pub kept: Vec<String>,
    /// Identity of the tokenizer that made the ids: texts of ids are its own.
    pub tokenizer: String,
    /// Models beyond [`MODELS`] that were compared and are not in the page.
    pub left_out: Vec<String>,
}

/// A model's files by part.
pub struct Model {
    pub name: String,
    /// Entries of its lists of most likely tokens.
    pub top_k: usize,
    pub tokens: BTreeMap<u32, ResultFile>,
    pub samples: BTreeMap<u32, ResultFile>,
}

impl Model {
    fn of(table: &ModelTable) -> Self {
        let by_part = |files: &[ResultFile]| table.origins.iter().map(|o| o.part).zip(files.iter().cloned()).collect();
        let (tokens, samples) = (by_part(&table.tokens), by_part(&table.samples));
        Self { name: table.model.clone(), top_k: table.top_k, tokens, samples }
    }
}

impl ResponseSet {
    /// Parts that P has.
    pub fn parts(&self) -> impl Iterator<Item = u32> + '_ {
        self.models.first().into_iter().flat_map(|p| p.tokens.keys().copied())
    }

    /// The set and its author, for messages.
    pub fn title(&self) -> String {
        format!("`{}` by `{}`", self.key.task, self.key.generation_model)
    }

    fn add(&mut self, pair: &PairTables) {
        if self.models.len() == MODELS {
            return self.left_out.push(pair.q.model.clone());
        }
        // Each pair has the parts that both have: P has those of any pair.
        let p = Model::of(&pair.p);
        self.models[0].tokens.extend(p.tokens);
        self.models[0].samples.extend(p.samples);
        self.models.push(Model::of(&pair.q));
        let exact =
            pair.exact.iter().flat_map(|exact| exact.origins.iter().map(|o| o.part).zip(exact.files.iter().cloned()));
        self.exact.push(exact.collect());
    }
}

/// The response sets of some pairs, in their order. `models` chooses the Qs, if any are given.
///
/// # Errors
/// [`Error::Usage`] for a name in `models` that is not compared with any P.
pub fn of_pairs(root: &Path, pairs: &[&PairTables], models: &[String]) -> Result<Vec<ResponseSet>> {
    if let Some(absent) = models.iter().find(|name| pairs.iter().all(|pair| pair.q.model != **name)) {
        let there: BTreeSet<_> = pairs.iter().map(|pair| format!("`{}`", pair.q.model)).collect();
        let there = there.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Error::Usage(format!("`{absent}` is not compared with P; models that are: {there}")));
    }
    let cells = store::cells_and_damaged(root)?.0;
    let mut sets: Vec<ResponseSet> = Vec::new();
    for pair in pairs.iter().filter(|pair| models.is_empty() || models.contains(&pair.q.model)) {
        let is_same = |set: &&mut ResponseSet| (&set.key, &set.models[0].name) == (&pair.set, &pair.p.model);
        match sets.iter_mut().find(is_same) {
            Some(set) => set.add(pair),
            None => sets.push(new(pair, &cells)),
        }
    }
    Ok(sets)
}

/// How many parts there are to read of these pairs.
///
/// # Errors
/// Those of [`of_pairs`].
pub fn parts(root: &Path, pairs: &[&PairTables], models: &[String]) -> Result<usize> {
    Ok(of_pairs(root, pairs, models)?.iter().map(|set| set.parts().count()).sum())
}

fn new(pair: &PairTables, cells: &[FoundCell]) -> ResponseSet {
    let mut set = ResponseSet {
        key: pair.set.clone(),
        models: vec![Model::of(&pair.p)],
        exact: Vec::new(),
        kept: pair.p.kept.clone(),
        tokenizer: cell(cells, pair).map(|cell| cell.manifest.tokens.tokenizer.clone()).unwrap_or_default(),
        left_out: Vec::new(),
    };
    set.add(pair);
    set
}

/// P's cell.
fn cell<'a>(cells: &'a [FoundCell], pair: &PairTables) -> Option<&'a FoundCell> {
    let is_p = |found: &&FoundCell| (&found.cell.set, &found.cell.model) == (&pair.set, &pair.p.model);
    cells.iter().find(is_p)
}
