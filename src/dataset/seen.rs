//! The requested fields as they occur in a dataset.
//!
//! Owns which names may be kept, and the one type that each kept field has. Not here: rows, other than their values.

use std::path::Path;

use crate::dataset::row::{Row, RowOptions, RowValue};
use crate::error::{Error, Result};
use crate::sample::Kept;
use crate::schema::{self, KeptField, KeptType};

/// Kept fields become columns of the samples table, next to its own and those that its folders name.
///
/// # Errors
/// A name that is taken.
pub fn check_names(options: &RowOptions) -> Result<()> {
    let columns = schema::samples(&[]);
    let folders = [schema::key::GENERATION_MODEL, schema::key::TASK, schema::key::MODEL];
    for (index, name) in options.keep.iter().enumerate() {
        let what = if columns.field_with_name(name).is_ok() || folders.contains(&name.as_str()) {
            "the samples table has a column of that name"
        } else if options.keep[..index].contains(name) {
            "named twice"
        } else {
            continue;
        };
        return Err(Error::Usage(format!("--keep-fields {name}: {what}")));
    }
    Ok(())
}

/// Which of the requested fields some row had.
pub struct Seen {
    /// Whether there was any usable row.
    any: bool,
    cluster: bool,
    kept: Vec<KeptSeen>,
}

impl Seen {
    pub fn new(options: &RowOptions) -> Self {
        Self { any: false, cluster: false, kept: vec![KeptSeen::default(); options.keep.len()] }
    }

    pub fn add(&mut self, row: &Row) {
        self.any = true;
        self.cluster |= row.cluster.is_some();
        self.kept.iter_mut().zip(&row.kept).for_each(|(seen, value)| seen.add(value));
    }

    /// No row could be used: nothing can be said of their fields.
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    /// The kept fields with their types.
    ///
    /// # Errors
    /// A field that no row has.
    pub fn finish(self, path: &Path, options: &RowOptions) -> Result<Vec<KeptField>> {
        let absent = |name: &str, option: &str| {
            Error::dataset(path, None, format!("no row has a value in the field `{name}` of {option}"))
        };
        if let Some(name) = options.cluster.as_ref().filter(|_| !self.cluster) {
            return Err(absent(name, "--cluster"));
        }
        let field = |(name, seen): (&String, KeptSeen)| {
            let field = seen.each.kind().filter(|_| !seen.is_other).map(|kind| (kind, true));
            match field.or_else(|| Some((seen.whole.kind()?, false))) {
                Some((kind, per_response)) => Ok(KeptField { name: name.clone(), kind, per_response }),
                None => Err(absent(name, "--keep-fields")),
            }
        };
        options.keep.iter().zip(self.kept).map(field).collect()
    }
}

/// The values that a kept field had.
#[derive(Clone, Debug, Default)]
struct KeptSeen {
    whole: Types,
    /// Of the items of lists with one for each response.
    each: Types,
    /// Whether a row had a value that is no such list: then the rows' whole values are kept.
    is_other: bool,
}

impl KeptSeen {
    fn add(&mut self, value: &RowValue) {
        self.whole.add(&value.whole);
        match &value.each {
            Some(each) => each.iter().for_each(|item| self.each.add(item)),
            None => self.is_other |= value.whole != Kept::Null,
        }
    }
}

/// The types that values had.
#[derive(Clone, Debug, Default)]
pub struct Types {
    bools: bool,
    numbers: bool,
    texts: bool,
}

impl Types {
    /// Adds the type of a value.
    pub fn add(&mut self, value: &Kept) {
        self.bools |= matches!(value, Kept::Bool(_));
        self.numbers |= matches!(value, Kept::Number(_));
        self.texts |= matches!(value, Kept::Text(_));
    }

    /// The one type that fits every value; `None` if there was none.
    pub fn kind(&self) -> Option<KeptType> {
        match (self.bools, self.numbers, self.texts) {
            (false, false, false) => None,
            (true, false, false) => Some(KeptType::Bool),
            (false, true, false) => Some(KeptType::Number),
            _ => Some(KeptType::Text),
        }
    }
}
