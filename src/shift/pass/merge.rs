//! Every token that both models scored, once, on all cores: the basis of the passes over whole tables.
//!
//! Owns the merge of ordered tables, their division among threads, and which columns are read. Each thread has a batch
//! of each table in memory. Not here: adding up, since each thread has a state of the caller's. `query` defines the
//! same as lazy queries; this pass is more than twice as fast.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{Error, Result, panic_message};
use crate::schema::{Divergence, pair, token};
use crate::shift::numbers::bounds::Side;
use crate::shift::tables::columns::Batch;
use crate::shift::tables::cursor::Cursor;
use crate::shift::tables::files::PairTables;
use crate::shift::tables::footers::Footers;
use crate::shift::tables::pair_files::PairFiles;
use crate::shift::token::lists;
use crate::shift::token::seen::{Divergences, Seen, Token};
use crate::store::ResultFile;
use crate::table::{PairColumns, TokenColumns};

/// There is no pairs table, or no row of it.
const NO_DIVERGENCES: Divergences = Divergences::NONE;

/// The columns that are read of both tokens tables, other than the keys.
#[derive(Clone, Debug)]
pub struct Reads {
    pub columns: Vec<&'static str>,
    /// What `lists` computes; of lists that a table has, too.
    pub lists: bool,
    /// The tokens' texts, where ids are unknown.
    pub texts: bool,
    /// The pairs table, if there is one.
    pub exact: bool,
    /// Of this many parts one is read.
    pub every: usize,
}

/// Rows of a tokens table.
type Tokens = Batch<TokenColumns>;

/// Some rows that follow one another in both tables, of the same keys.
pub struct Run<'a> {
    p: (&'a Tokens, usize),
    q: (&'a Tokens, usize),
    rows: usize,
    lists: bool,
    /// Whether KL(P‖Q) has an upper bound.
    is_bounded: bool,
    /// Of each row, if there is a pairs table.
    divergences: &'a [Divergences],
}

impl Run<'_> {
    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn sample_id(&self, row: usize) -> u32 {
        self.p.0.sample_id.value(self.p.1 + row)
    }

    /// The texts of both sides.
    pub fn texts(&self, row: usize) -> [Option<&str>; 2] {
        [self.p, self.q].map(|(side, first)| side.text(first + row))
    }

    pub fn token(&self, row: usize, study_from: u32) -> Token<'_> {
        let (p, q) = (self.p.0.seen(self.p.1 + row), self.q.0.seen(self.q.1 + row));
        Token {
            position: self.p.0.position.value(self.p.1 + row),
            lists: if self.lists { self.lists(row, &p, &q) } else { [f64::NAN; lists::PLACES] },
            p,
            q,
            divergences: self.divergences.get(row).unwrap_or(&NO_DIVERGENCES),
            study_from,
        }
    }

    fn lists(&self, row: usize, p: &Seen, q: &Seen) -> [f64; lists::PLACES] {
        let ((p_columns, p_row), (q_columns, q_row)) = ((self.p.0, self.p.1 + row), (self.q.0, self.q.1 + row));
        let (p_side, q_side) = (side(p_columns, p_row, p), side(q_columns, q_row, q));
        let min_q = if self.is_bounded { q_columns.min(q_row) } else { f64::NAN };
        lists::values(p.token_id, p_side, q_side, p.entropy.unwrap_or(f64::NAN), min_q)
    }
}

fn side<'a>(columns: &'a Tokens, row: usize, seen: &Seen) -> Side<'a> {
    Side {
        ids: columns.top_ids(row),
        logprobs: columns.top_logprobs(row),
        logprob: seen.logprob.unwrap_or(f64::NAN),
        mass: seen.probability.unwrap_or(f64::NAN),
        rest: columns.rest(row),
    }
}

/// Files whose rows are joined only with each other's.
struct Chunk<'a> {
    p: &'a [ResultFile],
    q: &'a [ResultFile],
    exact: &'a [ResultFile],
}

/// Hands every joined token to `step`, sample by sample, with the state of the thread that found it; gives back the states
/// of all threads. A sample is one thread's.
///
/// # Errors
/// A file that cannot be read, or whose rows are out of order; what `step` gives.
pub fn fold<S: Send>(
    pair: &PairTables,
    footers: [&Footers; 2],
    reads: &Reads,
    make: impl Fn() -> S + Sync,
    step: impl Fn(&mut S, &Run) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let chunks: Vec<Chunk> = chunks(pair, footers).into_iter().step_by(reads.every).collect();
    let (next, failed, failure) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
    let work = || {
        let mut state = make();
        while let Some(chunk) =
            chunks.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !failed.load(Ordering::Relaxed))
        {
            if let Err(error) = merge(pair, chunk, reads, &mut |run| step(&mut state, run)) {
                failed.store(true, Ordering::Relaxed);
                // Nothing panics while it is locked.
                failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
            }
        }
        state
    };
    let threads = rayon::current_num_threads().min(chunks.len()).max(1);
    let states = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let join = |panic: Box<dyn std::any::Any + Send>| Error::Tables { message: panic_message(&*panic) };
        threads.into_iter().map(|thread| thread.join().map_err(join)).collect::<Result<Vec<S>>>()
    })?;
    match failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(states),
    }
}

/// First and last sample of a file.
type Samples = Option<(u32, u32)>;

/// One chunk per part if parts contain the same samples in both tables, as all do except imports; else everything.
fn chunks<'a>(pair: &'a PairTables, [p, q]: [&Footers; 2]) -> Vec<Chunk<'a>> {
    let exact: &[ResultFile] = pair.exact.as_ref().map_or(&[], |exact| &exact.files);
    let (of_p, of_q) = (&pair.p.tokens, &pair.q.tokens);
    let mut last = None;
    let mut apart = |(p, q): (&Samples, &Samples)| {
        let low = p.iter().chain(q).map(|(low, _)| *low).min();
        let is_after = last.is_none_or(|last| low.is_none_or(|low| last < low));
        last = p.iter().chain(q).map(|(_, high)| *high).max().or(last);
        is_after
    };
    let aligned = of_p.len() == of_q.len() && (exact.is_empty() || exact.len() == of_p.len());
    if !aligned || !p.samples.iter().zip(&q.samples).all(&mut apart) {
        return vec![Chunk { p: of_p, q: of_q, exact }];
    }
    let one = |files: &'a [ResultFile], part: usize| files.get(part..=part).unwrap_or_default();
    (0..of_p.len()).map(|part| Chunk { p: one(of_p, part), q: one(of_q, part), exact: one(exact, part) }).collect()
}

fn merge(pair: &PairTables, chunk: &Chunk, reads: &Reads, step: &mut dyn FnMut(&Run) -> Result<()>) -> Result<()> {
    let mut p = Cursor::new(chunk.p, &names(pair, reads));
    let mut q = Cursor::new(chunk.q, &names(pair, reads));
    let mut exact = Cursor::new(if reads.exact { chunk.exact } else { &[] }, &of_pairs());
    let mut of_rows = Vec::new();
    loop {
        let (Some(of_p), Some(of_q)) = (p.peek()?, q.peek()?) else { return Ok(()) };
        let rows = same_keys(of_p, of_q);
        if rows == 0 {
            let behind = if of_p.0.key(of_p.1) < of_q.0.key(of_q.1) { &mut p } else { &mut q };
            behind.advance(1);
            continue;
        }
        of_rows.clear();
        if reads.exact && !chunk.exact.is_empty() {
            for row in 0..rows {
                of_rows.push(divergences_of(&mut exact, of_p.0.key(of_p.1 + row), pair.exact.as_ref())?);
            }
        }
        let (lists, is_bounded) = (reads.lists, pair.is_bounded());
        step(&Run { p: of_p, q: of_q, rows, lists, is_bounded, divergences: &of_rows })?;
        p.advance(rows);
        q.advance(rows);
    }
}

/// Rows from both places on that have the same keys.
fn same_keys((p, of_p): (&Tokens, usize), (q, of_q): (&Tokens, usize)) -> usize {
    let most = (p.len() - of_p).min(q.len() - of_q);
    let samples = [&p.sample_id.values()[of_p..of_p + most], &q.sample_id.values()[of_q..of_q + most]];
    let places = [&p.position.values()[of_p..of_p + most], &q.position.values()[of_q..of_q + most]];
    let same = |row: &usize| samples[0][*row] == samples[1][*row] && places[0][*row] == places[1][*row];
    (0..most).take_while(same).count()
}

/// What the pairs table has at a key.
fn divergences_of(cursor: &mut Cursor<PairColumns>, key: (u32, u32), exact: Option<&PairFiles>) -> Result<Divergences> {
    while let Some((columns, row)) = cursor.peek()? {
        let found = columns.key(row);
        if found > key {
            break;
        }
        let divergences = columns.divergences(row, |of| exact.map_or(of, |exact| exact.of_table(of)));
        cursor.advance(1);
        if found == key {
            return Ok(divergences);
        }
    }
    Ok(Divergences::NONE)
}

/// The columns of a pairs table that are read.
fn of_pairs() -> Vec<&'static str> {
    let keys = [pair::SAMPLE_ID, pair::POSITION];
    keys.into_iter().chain(Divergence::ALL.map(Divergence::column)).collect()
}

fn names(pair: &PairTables, reads: &Reads) -> Vec<&'static str> {
    let mut names = vec![token::SAMPLE_ID, token::POSITION];
    names.extend(&reads.columns);
    names.extend([token::TOKEN].iter().filter(|_| reads.texts));
    names.extend(lists::NUMBERS.iter().filter(|_| reads.lists));
    // Empty ones stay on disk.
    names.extend(lists::COLUMNS.iter().filter(|_| reads.lists && pair.p.top_k.max(pair.q.top_k) > 0));
    names
}
