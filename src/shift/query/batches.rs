//! Feeds a polars query's rows, batch by batch, to an accumulator outside polars.
//!
//! Owns the step from a streaming query to that state. No batch is kept.

use std::sync::{Arc, Mutex, PoisonError};

use polars::prelude::{DataFrame, Engine, LazyFrame, PlanCallback, PolarsResult};

use crate::error::{Error, Result};

/// Whether batches come in the order of the query's rows, or as they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Rows,
    Any,
}

/// Runs `query` and hands every batch to `push`, one at a time.
pub fn fold<S: Send + 'static>(
    query: LazyFrame,
    order: Order,
    state: S,
    push: impl Fn(&mut S, &DataFrame) -> PolarsResult<()> + Send + Sync + 'static,
) -> Result<S> {
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    let take = move |batch: DataFrame| -> PolarsResult<bool> {
        push(&mut shared.lock().unwrap_or_else(PoisonError::into_inner), &batch)?;
        Ok(false)
    };
    let sink = query.sink_batches(PlanCallback::new(take), order == Order::Rows, None)?;
    sink.collect_with_engine(Engine::Streaming)?;
    // The query is gone, and with it the only other owner.
    let state = Arc::into_inner(state).ok_or_else(|| Error::Usage("a query did not end".to_owned()))?;
    Ok(state.into_inner().unwrap_or_else(PoisonError::into_inner))
}
