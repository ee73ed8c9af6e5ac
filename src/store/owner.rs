//! Which process owns a file under `.tmp`.
//!
//! Owns process names that are unique even if several machines share a directory. Process ids alone are not (two
//! containers can both be process 1), and a process must not mistake another's files for its own or for those of a
//! dead process.

use std::fmt;
use std::fs;
use std::path::Path;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Eight hex digits that name the boot of a machine and the container in it, without telling which.
    pub place: String,
    pub process: u32,
}

impl Owner {
    pub fn this_process() -> Self {
        let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let container = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let hash = blake3::Hasher::new().update(&boot).update(container.as_os_str().as_encoded_bytes()).finalize();
        Self { place: hash.to_hex()[..8].to_owned(), process: std::process::id() }
    }

    /// What [`Owner`]'s display gave; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (place, process) = text.split_once('-')?;
        let ours = place.len() == 8 && place.bytes().all(|b| b.is_ascii_hexdigit());
        ours.then(|| Some(Self { place: place.to_owned(), process: process.parse().ok()? }))?
    }

    /// Whether the process still runs; `None` if that is unknown here.
    pub fn is_running(&self) -> Option<bool> {
        let proc = Path::new("/proc");
        let comparable = self.is_near() && proc.join("self/ns/pid").is_symlink();
        comparable.then(|| proc.join(self.process.to_string()).exists())
    }

    /// For a message: the id, and whether it means anything here.
    pub fn describe(&self) -> String {
        let place = if self.is_near() { "" } else { " on another machine or in another container" };
        format!("process {}{place}", self.process)
    }

    fn is_near(&self) -> bool {
        self.place == Self::this_process().place
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}-{}", self.place, self.process)
    }
}
