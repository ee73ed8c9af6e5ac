//! A row's fields by the names that formats have for them, and whole sequences with a mask.
//!
//! Owns what several formats have in common. Not here: any of them.

use super::names::FieldNames;
use crate::dataset::endings::Endings;
use crate::dataset::json::Fields;
use crate::dataset::named::Named;
use crate::dataset::names;
use crate::recorded::numbers;
use crate::recorded::row::{Numbers, RecordedSample, Unscored};

/// Fields that say whether a response was cut off, in every format.
pub const ENDINGS: [&str; 7] = [
    names::REASONS[0],
    names::REASONS[1],
    names::REASONS[2],
    names::REASONS[3],
    names::FLAGS[0],
    names::FLAGS[1],
    names::FLAGS[2],
];

/// A row's fields by the names that a format has for them.
pub struct Row<'a> {
    fields: &'a Fields<'a>,
    names: &'a FieldNames,
}

impl<'a> Row<'a> {
    /// The fields of a row that calls them as `names` says.
    pub fn new(fields: &'a Fields<'a>, names: &'a FieldNames) -> Self {
        Self { fields, names }
    }

    /// A value as it is written; `None` if it is missing or null.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.get(self.names.of(name))
    }

    /// A value that must be there.
    ///
    /// # Errors
    /// It is missing or null.
    pub fn need(&self, name: &str) -> Result<&'a str, String> {
        self.fields.value(self.names.of(name))?.ok_or_else(|| self.fields.missing(self.names.of(name)))
    }

    /// What the row calls a field.
    pub fn called<'n>(&'n self, name: &'n str) -> &'n str {
        self.names.of(name)
    }

    /// The token ids of a field.
    ///
    /// # Errors
    /// It is missing, or no list of ids.
    pub fn ids(&self, name: &str) -> Result<Vec<u32>, String> {
        numbers::ids(self.called(name), numbers::unwrapped(self.need(name)?))
    }

    /// The numbers of a field.
    ///
    /// # Errors
    /// It is missing, or no list of numbers.
    pub fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, String> {
        numbers::numbers(self.called(name), numbers::unwrapped(self.need(name)?))
    }

    /// The numbers of a field that need not be there.
    ///
    /// # Errors
    /// It is no list of numbers.
    pub fn optional_numbers(&self, name: &str) -> Result<Option<Vec<Option<f64>>>, String> {
        self.get(name).map(|_| self.numbers(name)).transpose()
    }

    /// The flags of the one of `names` that the row has, or that `--fields` names; `None` if it has none.
    ///
    /// # Errors
    /// It is no list of flags, or the row has two of them and nothing says which is meant.
    pub fn flags(&self, names: &[&str]) -> Result<Option<Vec<bool>>, String> {
        let mut found: Vec<&str> = names.iter().copied().filter(|name| self.get(name).is_some()).collect();
        if found.iter().any(|name| self.names.has(name)) {
            found.retain(|name| self.names.has(name));
        }
        found.dedup_by_key(|name| self.names.of(name));
        match found[..] {
            [] => Ok(None),
            [name] => numbers::flags(self.called(name), numbers::unwrapped(self.need(name)?)).map(Some),
            [one, other, ..] => Err(format!(
                "the row has `{}` and also `{}`: say which tokens were sampled with --fields {}={}",
                self.called(one),
                self.called(other),
                names[0],
                self.called(one),
            )),
        }
    }

    /// A field that names something.
    ///
    /// # Errors
    /// It is a string that cannot be read.
    pub fn label(&self, name: &str) -> Result<Option<String>, String> {
        self.fields.label(self.names.of(name))
    }

    /// The model that the row names.
    pub fn named(&self) -> Option<String> {
        self.fields.optional_text(self.names.of("model")).ok().flatten()
    }

    /// Whether the row's one response was cut off; `None` if the row does not say.
    ///
    /// # Errors
    /// It says so of several responses.
    pub fn is_cut(&self) -> Result<Option<bool>, String> {
        Ok(Endings::of(&Named::new(self.fields, &crate::dataset::FieldNames::default()), 1)?.is_cut(0))
    }
}

/// One model's columns over a whole sequence: each has an entry for every token of it, or one for every sampled token.
#[derive(Default)]
pub struct Columns {
    /// ln p.
    pub logprob: Vec<Option<f64>>,
    /// What the row calls them.
    pub name: String,
    /// As [`Numbers`].
    pub rank: Option<Vec<Option<f64>>>,
    pub entropy: Option<Vec<Option<f64>>>,
    pub top: Option<Vec<Vec<(u32, f64)>>>,
}

/// The sample of a whole sequence, of which `mask` says which tokens were sampled; without one, those that the first model
/// has a number of. What is wrong with a model's columns is that model's failure alone. `may_lack_context`: a number of
/// the first token says that it is not the first of its text.
///
/// # Errors
/// A mask of another length, or columns of two lengths without one.
pub fn sequence(
    ids: Vec<u32>,
    mask: Option<Vec<bool>>,
    models: Vec<Result<Columns, String>>,
    may_lack_context: bool,
) -> Result<RecordedSample, String> {
    let length = ids.len();
    if let Some(mask) = mask.as_ref().filter(|mask| mask.len() != length) {
        return Err(format!("the mask has {} entries for {length} token ids", mask.len()));
    }
    let first = models.first().and_then(|columns| columns.as_ref().ok());
    let mask = match (mask, first) {
        (Some(mask), _) => mask,
        (None, Some(columns)) if columns.logprob.len() == length => {
            columns.logprob.iter().map(Option::is_some).collect()
        }
        (None, Some(columns)) => {
            let (name, entries) = (&columns.name, columns.logprob.len());
            let what = "give a mask of the sampled tokens, or null for all others";
            return Err(format!("`{name}` has {entries} entries for {length} token ids: {what}"));
        }
        // Which tokens were sampled is not known.
        (None, None) => return Err(models.into_iter().find_map(Result::err).unwrap_or_default()),
    };
    let places: Vec<u32> = (0..).zip(&mask).filter(|(_, sampled)| **sampled).map(|(place, _)| place).collect();
    let begins = places.first() == Some(&0);
    let has_number = first.is_some_and(|columns| columns.logprob.first().is_some_and(Option::is_some));
    let has_context = !(may_lack_context && begins && has_number);
    let skipped = usize::from(has_context && begins);
    let numbers = models.into_iter().map(|columns| {
        let columns = columns.map_err(Unscored::failed)?;
        numbers_of(columns, &places, length, skipped).map_err(Unscored::failed)
    });
    Ok(RecordedSample { numbers: numbers.collect(), ids, places, has_context, texts: Vec::new(), is_cut: None })
}

/// The entries of the sampled tokens but for the `skipped` first.
fn numbers_of(columns: Columns, places: &[u32], length: usize, skipped: usize) -> Result<Numbers, String> {
    let Columns { logprob, name, rank, entropy, top } = columns;
    let rank = rank.map(|rank| sampled(rank, "ranks", places, length, skipped)).transpose()?;
    let entropy = entropy.map(|entropy| sampled(entropy, "entropies", places, length, skipped)).transpose()?;
    let top = top.map(|top| sampled(top, "lists", places, length, skipped)).transpose()?;
    let rank = rank.map(|rank| rank.into_iter().map(whole).collect::<Result<Vec<u32>, String>>()).transpose()?;
    let logprob = sampled(logprob, &format!("entries of `{name}`"), places, length, skipped)?;
    let entropy = entropy.and_then(|entropy| entropy.into_iter().collect::<Option<Vec<f64>>>());
    Ok(Numbers {
        logprob,
        rank: rank.unwrap_or_default(),
        entropy: entropy.unwrap_or_default(),
        top: top.unwrap_or_default(),
        lost_lists: 0,
    })
}

fn whole(rank: Option<f64>) -> Result<u32, String> {
    let is_whole = |rank: &f64| rank.fract() == 0.0 && (0.0..4_294_967_296.0).contains(rank);
    rank.filter(is_whole).map(|rank| rank as u32).ok_or_else(|| "a rank is no whole number above 0".to_owned())
}

/// Those of the sampled tokens, of a column with an entry for each of them or for every token.
fn sampled<T: Clone>(
    column: Vec<T>,
    what: &str,
    places: &[u32],
    length: usize,
    skipped: usize,
) -> Result<Vec<T>, String> {
    let entries = column.len();
    if entries == length {
        return Ok(places.iter().skip(skipped).map(|&place| column[place as usize].clone()).collect());
    }
    if entries == places.len() {
        return Ok(column.into_iter().skip(skipped).collect());
    }
    Err(format!("{entries} {what} for {length} token ids, of which {} were sampled", places.len()))
}
