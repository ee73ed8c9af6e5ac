//! Clusters that several tasks of one generation model have: their rows are not independent.
//!
//! Owns how clusters of different response sets are recognised as one: by their names, which are the hash of a prompt's
//! ids or the value of `--cluster`. Not here: the errors of pooled means (`figures`).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::files::PairTables;
use super::samples::{self, key};

/// By generation model, the keys of clusters that more than one of its tasks has.
#[derive(Default)]
pub struct SharedClusters(BTreeMap<String, HashSet<u64>>);

impl SharedClusters {
    /// Reads the clusters of every response set whose generation model has several tasks among `pairs`: one column of one
    /// samples table each, of which the keys are kept until all are read.
    pub fn read(pairs: &[PairTables]) -> Self {
        let mut shared = BTreeMap::new();
        for of_model in pairs.chunk_by(|a, b| a.set.generation_model == b.set.generation_model) {
            let tasks: BTreeSet<&str> = of_model.iter().map(|pair| pair.set.task.as_str()).collect();
            if tasks.len() < 2 {
                continue;
            }
            let (mut seen, mut repeated) = (HashSet::new(), HashSet::new());
            for of_task in of_model.chunk_by(|a, b| a.set.task == b.set.task) {
                // What cannot be read is found, and named, when the pair is compared.
                let Ok(names) = samples::clusters(&of_task[0].p) else { continue };
                let keys: HashSet<u64> = names.values().map(|name| key(Some(name))).collect();
                repeated.extend(keys.intersection(&seen).copied());
                seen.extend(keys);
            }
            shared.insert(of_model[0].set.generation_model.clone(), repeated);
        }
        Self(shared)
    }

    /// Of these clusters, the keys of those that other tasks have too.
    pub fn of(&self, generation_model: &str, keys: &[u64]) -> Vec<Option<u64>> {
        let shared = self.0.get(generation_model);
        keys.iter().map(|key| shared?.get(key).copied()).collect()
    }
}
