//! `exact` in a file of experiments: what `score --exact` does, experiment by experiment.
//!
//! Owns which experiments are compared, and that one that fails is in no other's way. Not here: pairs and their hidden
//! states (`in_one_go`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::cells::{Cells, State};
use super::exact::Exact;
use super::in_one_go::{Begun, InOneGo};
use super::response_sets::ResponseSet;
use super::session::Output;
use super::watch::Watch;
use crate::error::Result;
use crate::stop::Stop;
use crate::store;

/// The experiments that are compared exactly; `None` for the others.
pub struct Comparisons(Vec<Option<Comparison>>);

/// What an experiment compares.
struct Comparison {
    /// Models by name, and as they are typed.
    names: Vec<String>,
    models: Vec<String>,
    sets: Vec<ResponseSet>,
    all_pairs: bool,
}

/// The state of each at the beginning; `None` if it is not compared or cannot be.
pub struct AllBegun(Vec<Option<Begun>>);

impl AllBegun {
    /// By experiment, parts of each cell that are to be rescored for their hidden states.
    pub fn again(&self) -> Vec<BTreeMap<store::Cell, BTreeSet<u32>>> {
        self.0.iter().map(|begun| begun.as_ref().map(|begun| begun.again.clone()).unwrap_or_default()).collect()
    }
}

impl Comparison {
    fn in_one_go<'a>(&'a self, root: &'a Path) -> (InOneGo<'a>, Exact<'a>) {
        let names = self.names.iter().map(String::as_str).collect();
        let exact = Exact { root, models: &self.models, temperature: 1.0, allow_removed: false };
        (InOneGo::new(root, names, &self.sets, self.all_pairs), exact)
    }
}

impl Comparisons {
    /// Of a file of experiments.
    pub fn of(cells: &Cells) -> Self {
        let of_experiment = |(index, experiment): (usize, &crate::experiments::Experiment)| {
            experiment.exact.then(|| Comparison {
                names: experiment.models.iter().map(|model| model.name.clone()).collect(),
                models: experiment.models.iter().map(|model| format!("{}={}", model.name, model.source)).collect(),
                sets: cells.response_sets_of(index),
                all_pairs: experiment.all_pairs,
            })
        };
        Self(cells.experiments.iter().enumerate().map(of_experiment).collect())
    }

    /// Looks at what exists, before anything is scored. Experiments whose pairs were computed otherwise have failed.
    pub fn begin(&self, cells: &mut Cells, outputs: &BTreeMap<&Path, Output>) -> AllBegun {
        let mut all = Vec::new();
        for (index, comparison) in self.0.iter().enumerate() {
            let output = outputs.get(cells.experiments[index].output.as_path());
            let (Some(comparison), Some(output)) = (comparison, output) else {
                all.push(None);
                continue;
            };
            let (in_one_go, exact) = comparison.in_one_go(&output.root);
            let begun = in_one_go.must_have_p().and_then(|()| in_one_go.begin(&exact, &output.store));
            all.push(begun.map_err(|why| fail(cells, index, &why.to_string())).ok());
        }
        AllBegun(all)
    }

    /// Compares what is not compared yet. An experiment that cannot be compared has failed.
    ///
    /// # Errors
    /// [`Error::Stopped`](crate::Error::Stopped).
    pub fn compare(
        &self,
        cells: &mut Cells,
        outputs: &BTreeMap<&Path, Output>,
        begun: &mut AllBegun,
        seen: (&dyn Watch, &Stop),
    ) -> Result<()> {
        for (index, comparison) in self.0.iter().enumerate() {
            let output = outputs.get(cells.experiments[index].output.as_path());
            let (Some(comparison), Some(output), Some(begun)) = (comparison, output, begun.0[index].take()) else {
                continue;
            };
            let (in_one_go, exact) = comparison.in_one_go(&output.root);
            match in_one_go.compare(&exact, &output.store, begun, seen) {
                Err(error) if error.is_stopped() => return Err(error),
                Err(error) => fail(cells, index, &format!("exact: {error}")),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

fn fail(cells: &mut Cells, experiment: usize, why: &str) {
    let of_experiment = cells.all.iter_mut().filter(|cell| cell.experiment == experiment);
    let open = of_experiment.filter(|cell| matches!(cell.state, State::ToDo | State::Done));
    open.for_each(|cell| cell.state = State::Failed(why.to_owned()));
}
