//! SIGINT and SIGTERM: the first ends a run in good order, the second ends the process.
//!
//! Owns the process's handlers and what they raise. Outside of a run the first signal ends the process too: nothing is
//! in the making there that the next start would not make again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Result};

/// Runs are to end.
static STOP: AtomicBool = AtomicBool::new(false);
/// The next signal ends the process.
static AT_ONCE: AtomicBool = AtomicBool::new(true);
/// The number of the last signal; 0 for none.
static SIGNAL: AtomicUsize = AtomicUsize::new(0);

/// Installs the handlers, for the rest of the process.
///
/// # Errors
/// A system that does not let them be installed.
pub fn install() -> Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: no signal may find what it raises itself.
        flag::register_conditional_default(signal, &AT_ONCE)
            .and_then(|_| flag::register_usize(signal, &SIGNAL, signal as usize))
            .and_then(|_| flag::register(signal, &AT_ONCE))
            .and_then(|_| flag::register(signal, &STOP))
            .map_err(Error::io("handle the signals of", "this process"))?;
    }
    Ok(())
}

/// Does `work`, which ends soon after the flag that it is given is raised. One at a time.
///
/// # Errors
/// Those of `work`; [`Error::Stopped`] if a signal came, even when `work` was done: nothing is to follow it.
pub fn heed<T>(work: impl FnOnce(&'static AtomicBool) -> Result<T>) -> Result<T> {
    AT_ONCE.store(false, Ordering::SeqCst);
    let outcome = work(&STOP);
    AT_ONCE.store(true, Ordering::SeqCst);
    if outcome.is_ok() && STOP.load(Ordering::SeqCst) { Err(Error::Stopped) } else { outcome }
}

/// The exit code after a signal, as shells count it: 128 + its number. `None` if none came.
pub fn exit_code() -> Option<u8> {
    let signal = SIGNAL.load(Ordering::SeqCst);
    (signal != 0).then_some(128 + signal as u8)
}
