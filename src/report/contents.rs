//! What a report contains: response sets, their samples, the vocabulary, and the directory of blocks.
//!
//! Owns the pass over all tables that makes these, and the one function that makes any block. A page in one file, a
//! folder and a server differ only in who calls it. Not here: the page around the blocks (`page`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;

use rayon::prelude::*;

use super::block::{Kind, deflated};
use super::index::IndexRow;
use super::part::Part;
use super::scan::Scanned;
use super::sets::{self, ResponseSet};
use super::vocabulary::{Seen, Vocabulary};
use super::{choose, index, texts, tokens};
use crate::error::{Error, Result, panic_message};
use crate::shift::{self, Comparison, PairTables};
use crate::tokenize::TextTokenizer;

/// What a report is about.
#[derive(Default)]
pub struct Options {
    /// Which pairs are compared, and how.
    pub shift: shift::Options,
    /// The Qs in the list and the reader; the first three if none are given.
    pub models: Vec<String>,
    /// Has the texts of ids that stand in lists of most likely tokens alone.
    pub tokenizer: Option<TextTokenizer>,
    /// Tokenizers that the log of runs names: each is used where it made the ids, and otherwise not.
    pub logged: Vec<TextTokenizer>,
}

impl Options {
    /// The tokenizer that made the ids of tables that say this identity.
    pub fn tokenizer_of(&self, identity: &str) -> Option<&TextTokenizer> {
        self.tokenizer.iter().chain(&self.logged).find(|tokenizer| tokenizer.identity() == identity)
    }
}

/// Why a tokenizer is not taken.
pub const OTHER_TOKENIZER: &str = "this is not the tokenizer that made the token ids of these tables";

/// A block's kind, and what of the report is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it contains.
    pub kind: Kind,
    /// The response set, or the vocabulary.
    pub of: usize,
    /// The part, and the places of the samples in it; nothing of an index and a vocabulary.
    pub part: u32,
    /// Places of its samples in the part.
    pub places: Vec<usize>,
    /// Place of the first sample in the set's list.
    pub first: usize,
}

/// Everything that a page is made of.
pub struct Contents {
    /// The comparison, once it was made.
    pub comparison: OnceLock<Comparison>,
    /// The response sets.
    pub sets: Vec<ResponseSet>,
    /// Texts of token ids, one vocabulary per tokenizer.
    pub vocabularies: Vec<Vocabulary>,
    /// The vocabulary of each set.
    pub vocabulary_of: Vec<usize>,
    /// All samples of each set, and which of them are in the page.
    pub rows: Vec<Vec<IndexRow>>,
    /// Which samples of each set are in the page.
    pub chosen: Vec<Vec<bool>>,
    /// The blocks of the page, in their order.
    pub directory: Vec<Block>,
    /// The number that the first block has in addresses of a server, which may have served others before.
    pub first: usize,
    /// The part of each sample and its place there.
    places: Vec<Vec<(u32, usize)>>,
    costs: Vec<Vec<u64>>,
}

impl Contents {
    /// Compares what `options` request, and reads every part of it once.
    ///
    /// # Errors
    /// Those of [`shift::compare`]; a file that cannot be read; a model that was not compared.
    pub fn new(root: &Path, options: &Options) -> Result<Self> {
        let comparison = shift::compare(root, &options.shift)?;
        let pairs = shift::pairs(root, &options.shift)?;
        let mut contents = Self::of_pairs(root, options, &compared(&comparison, &pairs), &AtomicUsize::new(0))?;
        contents.comparison = OnceLock::from(comparison);
        Ok(contents)
    }

    /// Reads every part of these pairs once, and counts the parts in `read`. The page has no statistics before
    /// [`Contents::comparison`] is set.
    ///
    /// # Errors
    /// A file that cannot be read; a model that is in no pair.
    pub fn of_pairs(root: &Path, options: &Options, pairs: &[&PairTables], read: &AtomicUsize) -> Result<Self> {
        guarded(|| Self::read(root, options, pairs, read))
    }

    fn read(root: &Path, options: &Options, pairs: &[&PairTables], read: &AtomicUsize) -> Result<Self> {
        let sets = sets::of_pairs(root, pairs, &options.models)?;
        let (mut rows, mut places, mut costs, mut vocabulary_of) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut seen: Vec<(String, Seen)> = Vec::new();
        for set in &sets {
            let scanned = Scanned::of_set(set, read)?;
            let number = seen.iter().position(|(tokenizer, _)| *tokenizer == set.tokenizer).unwrap_or_else(|| {
                seen.push((set.tokenizer.clone(), Seen::default()));
                seen.len() - 1
            });
            vocabulary_of.push(number);
            seen[number].1.merge(scanned.seen);
            rows.push(scanned.rows);
            places.push(scanned.places);
            costs.push(scanned.costs);
        }
        if let Some(tokenizer) = &options.tokenizer
            && seen.iter().all(|(name, _)| name != tokenizer.identity())
        {
            return Err(Error::usage(OTHER_TOKENIZER));
        }
        let vocabulary = |(name, seen): (String, Seen)| Vocabulary::new(seen, options.tokenizer_of(&name));
        let vocabularies = seen.into_iter().map(vocabulary).collect();
        let chosen = rows.iter().map(|rows| vec![true; rows.len()]).collect();
        let (comparison, directory, first) = (OnceLock::new(), Vec::new(), 0);
        let mut contents =
            Self { comparison, sets, vocabularies, vocabulary_of, rows, chosen, directory, first, places, costs };
        contents.list_blocks();
        Ok(contents)
    }

    /// Keeps the samples whose costs fit into `room`: about that many bytes before compression.
    pub fn limit(&mut self, room: u64) {
        self.chosen = choose::chosen(&self.sets, &self.rows, &self.costs, room);
        self.list_blocks();
    }

    /// Costs of all samples together.
    pub fn cost(&self) -> u64 {
        self.costs.iter().flatten().sum()
    }

    /// Samples in the page, and all that were compared.
    pub fn samples(&self) -> (usize, usize) {
        let all = || self.chosen.iter().flatten();
        (all().filter(|is| **is).count(), all().count())
    }

    /// Token ids without a text, and all, of the vocabularies whose tokenizer was not found.
    pub fn ids(&self) -> (usize, usize) {
        let without_tokenizer = || self.vocabularies.iter().filter(|vocabulary| !vocabulary.is_of_tokenizer);
        let sum = |of: fn(&Vocabulary) -> usize| without_tokenizer().map(of).sum();
        (sum(Vocabulary::without_text), sum(|vocabulary| vocabulary.ids.len()))
    }

    /// The index of each set, each vocabulary, then the texts and tokens of each part.
    fn list_blocks(&mut self) {
        let whole = |kind, of| Block { kind, of, part: 0, places: Vec::new(), first: 0 };
        let mut directory: Vec<Block> = (0..self.sets.len()).map(|set| whole(Kind::Index, set)).collect();
        directory.extend((0..self.vocabularies.len()).map(|of| whole(Kind::Vocabulary, of)));
        for of in 0..self.sets.len() {
            let mut by_part: BTreeMap<u32, Vec<(usize, u32)>> = BTreeMap::new();
            let places = self.places[of].iter().zip(&self.rows[of]).zip(&self.chosen[of]);
            for ((&(part, place), row), _) in places.filter(|(_, is_chosen)| **is_chosen) {
                by_part.entry(part).or_default().push((place, row.tokens));
            }
            let mut first = 0;
            for (part, samples) in by_part {
                let block = |kind, range: Range<usize>| Block {
                    kind,
                    of,
                    part,
                    places: samples[range.clone()].iter().map(|(place, _)| *place).collect(),
                    first: first + range.start,
                };
                directory.push(block(Kind::Texts, 0..samples.len()));
                let lengths: Vec<usize> = samples.iter().map(|(_, tokens)| *tokens as usize).collect();
                directory.extend(tokens::runs(&lengths).into_iter().map(|range| block(Kind::Tokens, range)));
                first += samples.len();
            }
        }
        self.directory = directory;
    }

    /// Shows every part to `see`, in order, with the number of its set.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn parts(&self, mut see: impl FnMut(usize, &Part) + Send) -> Result<()> {
        guarded(|| {
            for (number, set) in self.sets.iter().enumerate() {
                for part in set.parts() {
                    see(number, &Part::read(set, part)?);
                }
            }
            Ok(())
        })
    }

    /// A block, deflated.
    ///
    /// # Errors
    /// A file of its part that cannot be read.
    pub fn block(&self, number: usize) -> Result<Vec<u8>> {
        let block = &self.directory[number];
        match block.kind {
            Kind::Vocabulary | Kind::Index => deflated(&self.whole(block)),
            // A search reads these alone, one after the other.
            Kind::Texts => {
                guarded(|| deflated(&self.columns(block, &Part::read_texts(&self.sets[block.of], block.part)?)))
            }
            Kind::Tokens => guarded(|| deflated(&self.columns(block, &Part::read(&self.sets[block.of], block.part)?))),
        }
    }

    /// All blocks in their order, deflated; each part is read once.
    ///
    /// # Errors
    /// Those of [`Contents::block`] and of `write`.
    pub fn blocks(&self, mut write: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        let numbered: Vec<(usize, &Block)> = self.directory.iter().enumerate().collect();
        let is_of_part = |block: &Block| matches!(block.kind, Kind::Texts | Kind::Tokens);
        let same = |a: &(usize, &Block), b: &(usize, &Block)| {
            is_of_part(a.1) && is_of_part(b.1) && (a.1.of, a.1.part) == (b.1.of, b.1.part)
        };
        let groups: Vec<&[(usize, &Block)]> = numbered.chunk_by(same).collect();
        for some in groups.chunks(rayon::current_num_threads()) {
            let made = guarded(|| some.par_iter().map(|group| self.group(group)).collect::<Result<Vec<_>>>())?;
            for (number, bytes) in made.iter().flatten() {
                write(*number, bytes)?;
            }
        }
        Ok(())
    }

    /// Blocks of one part, or one that is of none.
    fn group(&self, blocks: &[(usize, &Block)]) -> Result<Vec<(usize, Vec<u8>)>> {
        let Some((_, first)) = blocks.first() else { return Ok(Vec::new()) };
        if matches!(first.kind, Kind::Vocabulary | Kind::Index) {
            return blocks.iter().map(|(number, block)| Ok((*number, deflated(&self.whole(block))?))).collect();
        }
        let part = Part::read(&self.sets[first.of], first.part)?;
        let of_part = |(number, block): &(usize, &Block)| Ok((*number, deflated(&self.columns(block, &part))?));
        blocks.iter().map(of_part).collect()
    }

    fn whole(&self, block: &Block) -> Vec<u8> {
        if block.kind == Kind::Vocabulary {
            return self.vocabularies[block.of].columns();
        }
        let set = &self.sets[block.of];
        let rows = self.rows[block.of].iter().zip(&self.chosen[block.of]).filter(|(_, is_chosen)| **is_chosen);
        index::columns(&rows.map(|(row, _)| row).collect::<Vec<_>>(), set.kept.len(), set.exact.len())
    }

    fn columns(&self, block: &Block, part: &Part) -> Vec<u8> {
        match block.kind {
            Kind::Texts => texts::columns(part, &block.places),
            _ => tokens::columns(part, &block.places, &self.vocabularies[self.vocabulary_of[block.of]]),
        }
    }
}

/// The pairs that were compared: one that failed in the comparison is in no page.
pub fn compared<'a>(comparison: &Comparison, pairs: &'a [PairTables]) -> Vec<&'a PairTables> {
    let is_compared = |tables: &&PairTables| {
        comparison.pairs.iter().any(|pair| {
            (&pair.generation_model, &pair.task, &pair.p, &pair.q)
                == (&tables.set.generation_model, &tables.set.task, &tables.p.model, &tables.q.model)
        })
    };
    pairs.iter().filter(is_compared).collect()
}

/// Reads tables on a thread of its own, because libraries panic on some broken Parquet: that is an error of a file.
pub fn guarded<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let failed = |panic: Box<dyn std::any::Any + Send>| Error::Tables { message: panic_message(&*panic) };
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| Err(failed(panic)))
}
