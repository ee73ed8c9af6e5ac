//! Groups of a field's values.
//!
//! Owns which values form a group of their own. Not here: whose values they are (`fields`).

use std::collections::BTreeMap;

use crate::natural;

/// Values that get a group each; more of them are put together.
const MOST: usize = 12;

/// Of rows without the field, and of the rarer texts.
pub const NULL: &str = "(null)";
pub const OTHERS: &str = "(others)";

/// How the values of a field are grouped.
#[derive(Clone, Debug, PartialEq)]
pub enum Buckets {
    /// Up to 12 values: each one. Whether they are numbers decides their order.
    Each { are_numbers: bool },
    /// More numbers: four groups at their quartiles.
    Quartiles([f64; 3]),
    /// More texts: the 11 most frequent, and the others.
    Frequent(Vec<String>),
}

/// The values of a field in several response sets, and how many samples have each.
#[derive(Default)]
pub struct Pooled {
    counts: BTreeMap<String, usize>,
    has_texts: bool,
}

impl Pooled {
    /// Adds the values of some samples, which are texts unless `are_numbers`.
    pub fn add<'a>(&mut self, values: impl Iterator<Item = &'a String>, are_numbers: bool) {
        self.has_texts |= !are_numbers;
        for value in values {
            match self.counts.get_mut(value) {
                Some(count) => *count += 1,
                None => drop(self.counts.insert(value.clone(), 1)),
            }
        }
    }

    /// The groups that they fall into.
    pub fn buckets(self) -> Buckets {
        if self.counts.keys().filter(|value| *value != NULL).count() <= MOST {
            Buckets::Each { are_numbers: !self.has_texts }
        } else if self.has_texts {
            frequent(&self.counts)
        } else {
            quartiles(&self.counts)
        }
    }
}

/// Each group's name, and each sample's group.
pub struct Groups {
    pub names: Vec<String>,
    pub of_sample: Vec<usize>,
}

impl Buckets {
    /// Puts each value into its group.
    pub fn groups(&self, values: &[String]) -> Groups {
        match self {
            Self::Each { are_numbers } => each(values, *are_numbers),
            Self::Quartiles(ends) => cut(values, ends),
            Self::Frequent(names) => {
                let place = |value: &String| names.iter().position(|name| name == value).unwrap_or(names.len());
                let of_sample = values.iter().map(place).collect();
                Groups { names: names.iter().cloned().chain([OTHERS.to_owned()]).collect(), of_sample }
            }
        }
    }
}

fn each(values: &[String], are_numbers: bool) -> Groups {
    let mut names = values.to_vec();
    names.sort_by(|a, b| match (are_numbers, a.parse::<f64>(), b.parse::<f64>()) {
        (true, Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => natural::compare(a, b),
    });
    names.dedup();
    let place = |value: &String| names.iter().position(|name| name == value).unwrap_or_default();
    let of_sample = values.iter().map(place).collect();
    Groups { names, of_sample }
}

fn frequent(counts: &BTreeMap<String, usize>) -> Buckets {
    let mut by_count: Vec<_> = counts.iter().collect();
    by_count.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    Buckets::Frequent(by_count.iter().take(MOST - 1).map(|(name, _)| (*name).clone()).collect())
}

/// `NaN` is a value and no number, and lies in no quarter.
fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| !number.is_nan())
}

/// Where groups of about as many samples each end.
fn quartiles(counts: &BTreeMap<String, usize>) -> Buckets {
    let mut sorted: Vec<(f64, usize)> =
        counts.iter().filter_map(|(value, count)| Some((number(value)?, *count))).collect();
    sorted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let all: usize = sorted.iter().map(|(_, count)| count).sum();
    let at = |share: usize| {
        let mut left = all.saturating_sub(1) * share / 4;
        let holds = |(_, count): &&(f64, usize)| {
            left < *count || {
                left -= count;
                false
            }
        };
        sorted.iter().find(holds).map_or(f64::NAN, |(value, _)| *value)
    };
    Buckets::Quartiles([at(1), at(2), at(3)])
}

/// Groups between the `ends`, and one of those without a number.
fn cut(values: &[String], ends: &[f64; 3]) -> Groups {
    let mut names = vec![format!("<= {}", ends[0])];
    names.extend(ends.windows(2).map(|two| format!("{} to {}", two[0], two[1])));
    names.extend([format!("> {}", ends[2]), NULL.to_owned()]);
    let place = |value: &String| number(value).map_or(4, |x| ends.iter().filter(|end| x > **end).count());
    let of_sample = values.iter().map(place).collect();
    Groups { names, of_sample }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|v| (*v).to_owned()).collect()
    }

    fn counts(values: &[String]) -> BTreeMap<String, usize> {
        values.iter().fold(BTreeMap::new(), |mut counts, v| {
            *counts.entry(v.clone()).or_default() += 1;
            counts
        })
    }

    #[test]
    fn few_numbers_are_in_the_order_of_numbers() {
        let groups = each(&texts(&["10", "9", NULL, "9"]), true);
        assert_eq!((groups.names, groups.of_sample), (texts(&[NULL, "9", "10"]), vec![2, 1, 0, 1]));
    }

    #[test]
    fn many_numbers_are_cut_at_quartiles() {
        let none = [NULL.to_owned(), f64::NAN.to_string()];
        let values: Vec<String> = (0..40).map(|i| i.to_string()).chain(none).collect();
        let buckets = quartiles(&counts(&values));
        assert_eq!(buckets, Buckets::Quartiles([9.0, 19.0, 29.0]));
        let groups = buckets.groups(&values);
        assert_eq!(groups.names, ["<= 9", "9 to 19", "19 to 29", "> 29", NULL]);
        let sizes: Vec<_> = (0..5).map(|g| groups.of_sample.iter().filter(|of| **of == g).count()).collect();
        assert_eq!(sizes, [10, 10, 10, 10, 2]);
    }

    #[test]
    fn equal_values_count_as_often_as_they_are() {
        let values = texts(&["0", "0", "0", "0", "0", "0", "0", "1", "2"]);
        assert_eq!(quartiles(&counts(&values)), Buckets::Quartiles([0.0, 0.0, 0.0]));
        let values = texts(&["0", "1", "1", "1", "2"]);
        assert_eq!(quartiles(&counts(&values)), Buckets::Quartiles([1.0, 1.0, 1.0]));
    }

    #[test]
    fn rare_texts_are_put_together() {
        let values: Vec<String> = (0..20).flat_map(|i| vec![format!("t{i:02}"); 20 - i]).collect();
        let groups = frequent(&counts(&values)).groups(&values);
        assert_eq!((groups.names.len(), groups.names[0].as_str(), groups.names[11].as_str()), (12, "t00", "(others)"));
        assert_eq!(groups.of_sample.iter().filter(|g| **g == 11).count(), (1..=9).sum::<usize>());
    }
}
