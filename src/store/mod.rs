//! The output directory: the only place that creates results and opens them.
//!
//! Owns layout, names, manifests, and the guarantee that a file with a final name is complete. Readers get a
//! [`ResultFile`], which opens itself; `files` has the few verbs that another kind of storage would need. A part is written under
//! `.tmp`, synced, and published by rename: hidden states if they are kept, then samples, then tokens, which alone
//! means done. One process at a time writes a part, and the first one fixes what all models of a response set share.
//! Not here: the content of tables (`table`).

mod cell;
mod chosen;
mod directory;
mod fields;
mod files;
mod hidden;
mod layout;
mod lock;
mod manifest;
pub mod names;
mod owner;
mod pairs;
mod read;
mod remove;
mod inventory;
mod table_files;
mod temporary;
mod temporary_hidden;
mod response_set;
mod vocabulary;

pub use cell::CellStore;
pub use cell::part::PartWriter;
pub use chosen::{write_file, write_file_with};
pub use directory::Store;
pub use files::ResultFile;
pub use hidden::HiddenPart;
pub use inventory::{Inventory, ListedCell, ListedPair, ListedResponseSet, PartFiles, inventory, is_result_name};
pub use layout::{Cell, PairCell, ResponseSetKey, is_response_set_manifest};
pub use lock::Holder;
pub use manifest::Manifest;
pub use manifest::facts::{DatasetFacts, EngineFacts, IMPORT, OWN, ReferenceFacts, TokenFacts, UNKNOWN};
pub use manifest::pair::PairManifest;
pub use manifest::response_set::ResponseSetManifest;
pub use names::encode as folder_name;
pub use pairs::{FoundPair, PairStore, found_pairs};
pub use read::{DamagedCell, FoundCell, cells, cells_and_damaged, cells_of_earlier_runs, cells_to_continue, part_of};
pub use remove::Removed;
pub use temporary_hidden::TemporaryLock;
pub use vocabulary::vocabulary;

#[cfg(test)]
mod tests;
