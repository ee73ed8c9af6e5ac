//! Importance weights: what an RL engineer asks of a rollout engine and a trainer with the same weights.
//!
//! Owns everything about them but their shape (`result`) and how they are shown (`output`). docs/measures.md defines
//! each statistic; the pass over the tokens is its own, so that comparisons without recorded numbers pay nothing.

mod sequence;
mod level;
mod figures;
mod alarms;
mod dashboards;
mod collect;
pub mod of_pair;

#[cfg(test)]
mod tests;
