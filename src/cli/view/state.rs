//! What a server of results has so far: nothing, the list of samples and the reader, or the statistics as well.
//!
//! Owns the order of work. Samples come first, because they are read once and the statistics take several times as long;
//! the page says what is still to come. Not here: sockets.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::cli::{progress, report};
use crate::report::{Carrier, Contents, END, Options, beginning, compared, overview, parts, waiting};
use crate::shift::{self, PairTables};
use crate::{Error, Result, store};

/// What every connection needs.
pub struct Served {
    /// Without it nothing is answered.
    pub key: String,
    parts: usize,
    read: AtomicUsize,
    shown: RwLock<Option<Arc<Shown>>>,
}

/// What the tables gave so far.
struct Shown {
    contents: Arc<Contents>,
    page: String,
    overview: Option<String>,
}

impl Served {
    /// Nothing was read yet.
    ///
    /// # Errors
    /// A model among `models` that is in none of the pairs.
    pub fn new(key: String, pairs: &[PairTables], models: &[String], root: &Path) -> Result<Self> {
        let parts = parts(root, &pairs.iter().collect::<Vec<_>>(), models)?;
        Ok(Self { key, parts, read: AtomicUsize::new(0), shown: RwLock::new(None) })
    }

    /// The page as it is now.
    pub fn page(&self) -> String {
        let read = || self.read.load(Ordering::Relaxed).min(self.parts);
        self.shown().map_or_else(|| waiting(read(), self.parts), |shown| shown.page.clone())
    }

    /// The number of the first block of the page that this is of, then the overview; `None` until it is computed.
    pub fn overview(&self) -> Option<String> {
        let shown = self.shown()?;
        Some(format!("{}\n{}", shown.contents.first, shown.overview.as_ref()?))
    }

    /// A block; `None` if there is none of this number any more or yet.
    pub fn block(&self, number: usize) -> Option<Result<Vec<u8>>> {
        let contents = &self.shown()?.contents;
        let place = number.checked_sub(contents.first).filter(|place| *place < contents.directory.len())?;
        Some(contents.block(place))
    }

    fn shown(&self) -> Option<Arc<Shown>> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the samples, then compares.
    ///
    /// # Errors
    /// Those of [`shift::compare`] and of reading what was compared.
    pub fn load(&self, root: &Path, options: &Options, pairs: &[PairTables]) -> Result<()> {
        let cells = store::cells_and_damaged(root)?.0;
        let show = |contents: &Arc<Contents>| -> Result<()> {
            let page = beginning(contents, &cells, Carrier::Http)? + END;
            let overview = contents.comparison.get().map(|_| overview(contents, &cells));
            let shown = Shown { contents: Arc::clone(contents), page, overview };
            *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(shown));
            Ok(())
        };
        // What does not fit together is left to the comparison, which says why.
        let fitting: Vec<&PairTables> = pairs.iter().filter(|pair| shift::joined(pair).is_ok()).collect();
        let early = match Contents::of_pairs(root, options, &fitting, &self.read) {
            Ok(contents) if !fitting.is_empty() => Some(Arc::new(contents)),
            // An option, and no pair that the comparison would have more to say about.
            Err(error @ Error::Usage(_)) if fitting.len() == pairs.len() => return Err(error),
            _ => None,
        };
        if let Some(contents) = &early {
            show(contents)?;
            progress::say(
                "the list of samples and the reader are ready; the statistics of the overview are being computed",
            );
            if let Some(line) = report::without_text(contents) {
                progress::say(&line);
            }
        }
        let comparison = shift::compare(root, &options.shift)?;
        for line in shift::warnings(&comparison) {
            progress::say(&line);
        }
        let compared = compared(&comparison, pairs);
        let is_same = |a: &[&PairTables], b: &[&PairTables]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| std::ptr::eq(*a, *b))
        };
        let contents = match early {
            Some(contents) if is_same(&fitting, &compared) => contents,
            early => {
                let mut contents = Contents::of_pairs(root, options, &compared, &self.read)?;
                contents.first = early.map_or(0, |early| early.directory.len());
                Arc::new(contents)
            }
        };
        // Set once: these contents have none yet.
        let _ = contents.comparison.set(comparison);
        show(&contents)?;
        progress::say("the overview is complete");
        Ok(())
    }
}
