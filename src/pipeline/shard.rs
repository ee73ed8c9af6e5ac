//! One of several processes that divide the parts of a cell among them.
//!
//! Owns which parts are whose. Not here: locks, which keep two processes from scoring one part whether they divide the
//! parts or not (`store`).

use std::fmt;
use std::str::FromStr;

/// Shard `index` of `of`: every part whose number leaves that remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl Shard {
    /// Shard `index` of `of`, counted from 0; `None` unless `index` is less than `of`.
    pub fn new(index: u32, of: u32) -> Option<Self> {
        (index < of).then_some(Self { index, of })
    }

    /// Whether a part is this shard's.
    pub fn has(self, part: u32) -> bool {
        part % self.of == self.index
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').map(|(index, of)| (index.parse().ok(), of.parse().ok()));
        let Some((Some(index), Some(of))) = numbers else {
            return Err(format!("`{text}` is not INDEX/COUNT, such as 0/8"));
        };
        Self::new(index, of).ok_or_else(|| match of {
            0 => "there is no shard of 0".to_owned(),
            _ => format!("shards are counted from 0: the last of {of} is {}/{of}", of - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_in_one_shard() {
        for of in 1..9 {
            let shards: Vec<Shard> = (0..of).map(|index| format!("{index}/{of}").parse().unwrap()).collect();
            for part in 0..50 {
                assert_eq!(shards.iter().filter(|shard| shard.has(part)).count(), 1);
            }
        }
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for (text, why) in [
            ("3", "`3` is not INDEX/COUNT, such as 0/8"),
            ("-1/8", "`-1/8` is not INDEX/COUNT, such as 0/8"),
            ("0/0", "there is no shard of 0"),
            ("8/8", "shards are counted from 0: the last of 8 is 7/8"),
        ] {
            assert_eq!(text.parse::<Shard>().unwrap_err(), why);
        }
    }
}
