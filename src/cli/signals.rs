//! SIGINT and SIGTERM: the first ends a run cleanly, the second ends the process.
//!
//! Owns the process's handlers and the flag that they set. Outside of a run the first signal ends the process too,
//! because nothing is being written there that the next start would not write again.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level;

use crate::error::{Error, Result};
use crate::stop::Stop;

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
        // SAFETY: `came` does nothing that a handler must not: it stores to atomics, and calls what is meant for handlers.
        #[allow(unsafe_code)]
        let installed = unsafe { low_level::register(signal, move || came(signal)) };
        installed.map_err(Error::io("handle the signals of", "this process"))?;
    }
    Ok(())
}

/// One exchange decides which signal is the second: two threads may take two signals at the same moment.
fn came(signal: c_int) {
    if AT_ONCE.swap(true, Ordering::SeqCst) {
        // It cannot fail for a signal that ends a process by default.
        let _ = low_level::emulate_default_handler(signal);
    }
    SIGNAL.store(signal as usize, Ordering::SeqCst);
    STOP.store(true, Ordering::SeqCst);
}

/// What a signal raises.
pub fn stop() -> Stop<'static> {
    Stop::new(&STOP)
}

/// Does `work`, which ends soon after [`stop`] is raised: a signal that comes meanwhile does that alone. One at a time.
pub fn heed(work: impl FnOnce()) {
    AT_ONCE.store(false, Ordering::SeqCst);
    work();
    AT_ONCE.store(true, Ordering::SeqCst);
}

/// The exit code after a signal, as shells count it: 128 + its number. `None` if none came.
pub fn exit_code() -> Option<u8> {
    let signal = SIGNAL.load(Ordering::SeqCst);
    (signal != 0).then_some(128 + signal as u8)
}
