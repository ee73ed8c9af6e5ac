//! How far models moved: lazy queries over the tables, and the statistics of their results.
//!
//! Owns everything between the tables on disk and a [`Comparison`], in folders that import one way: each only from
//! those above it here. Not here: engines and terminals. It reads only Parquet and manifests, and `cli` decides what
//! is shown where.

mod options;
mod numbers;
mod result;
mod token;
mod tables;
mod query;
mod pass;
mod figures;
mod align;
mod output;
mod compare;

pub use compare::{chosen, compare, compare_aligned, explain, joined, only_study, pairs};
pub use numbers::bounds::place as place_in_list;
pub use numbers::contrast::{Contrast, contrast};
pub use numbers::quantiles::{EXACT, Quantile, Values};
pub use numbers::relation::{Point, Relation, relation};
pub use numbers::stats::{Estimate, FEW_CLUSTERS, Share, clustered_mean, shares};
pub use options::{BetweenModels, F32Version, Options};
pub use output::aligned::aligned_table;
pub use output::between::between;
pub use output::cells::{
    aligned, bounds as bounds_text, cells as estimate_text, number as number_text, short as short_text,
};
pub use output::columns::Pick;
pub use output::document::{Document, Requested, RequestedBetween, Tool};
pub use output::export::{TableFormat, TableRequest, export};
pub use output::file::{FileFormat, statistics_file};
pub use output::floors::noise_floors;
pub use output::gate::{Limit, Unmet, unmet};
pub use output::overview::overview;
pub use output::scalars::scalars;
pub use output::study::{StudyFigures, study_figures};
pub use output::table::table;
pub use output::warnings::{aligned_warnings, warnings};
pub use result::aligned::{AlignedComparison, AlignedMeasure, AlignedPair};
pub use result::between::{Between, BetweenMeasure, BetweenTask, BetweenTasks, BothTexts, MissingTask};
pub use result::comparison::{Comparison, ModelFacts, NotCompared};
pub use result::exact::{ExactFigures, MovedTop, ShiftedToken, Stop};
pub use result::kl_estimate::KlEstimate;
pub use result::means::{Difference, Means, Measure, NoiseFloor, Overall, OverallMeasure, Quantiles, Sides, Slice};
pub use result::pair::{Cut, Heads, LeftOut, Pair, Partial};
pub use result::read_first::{FarResponse, FarToken, Place, ReadFirst};
pub use result::relation::{FieldRelation, MeasureRelation};
pub use result::study::{NullsRemoved, StudyFigure};
pub use tables::files::{ModelTable, PairTables};
pub use tables::pair_files::PairFiles;
pub use tables::reference::{Because, default_p};
