//! The type in which a model's weights are kept unless the user selects another.
//!
//! Owns which stored tensors decide it: every matrix that the spec requires, and no other.

use std::collections::BTreeMap;

use candle_core::DType;

use super::{Checkpoint, Stored};

impl Checkpoint {
    /// The type in which the weights are best kept: bf16 if every matrix that the spec requires is stored so, else f32
    /// (f16 and quantised weights are widened, so that nothing is lost).
    pub fn stored_dtype(&self) -> DType {
        self.dtype_and_why().0
    }

    /// Why it is that type.
    pub fn why_stored_dtype(&self) -> String {
        self.dtype_and_why().1
    }

    fn dtype_and_why(&self) -> (DType, String) {
        let mut kinds: BTreeMap<String, (usize, String)> = BTreeMap::new();
        let mut is_bf16 = !self.source.is_quantised();
        for (name, stored) in self.matrices() {
            is_bf16 &= stored.dtype == DType::BF16;
            kinds.entry(stored.kind).or_insert((0, name)).0 += 1;
        }
        let rarest = kinds.iter().min_by_key(|(_, (count, _))| *count);
        let why = match rarest {
            Some((kind, _)) if kinds.len() == 1 => format!("every matrix is {kind}"),
            Some((kind, (_, name))) => format!("not every matrix is of one type, `{name}` is {kind}"),
            None => "there are no matrices".to_owned(),
        };
        (if is_bf16 { DType::BF16 } else { DType::F32 }, why)
    }

    /// The matrices that the spec requires, as they are stored.
    fn matrices(&self) -> impl Iterator<Item = (String, Stored)> {
        let layers = self.in_body(self.spec.names.layers) + ".";
        let embedding = self.embedding_name();
        let is_requested = move |name: &str| {
            let layer = name.strip_prefix(&layers).and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            let is_head = !self.spec.tied_head && name == self.head_name();
            is_head || name == embedding || layer.is_some_and(|layer| layer < self.spec.layers)
        };
        let requested = self.tensors().into_iter().filter(move |(name, _)| is_requested(name));
        requested.filter(|(_, stored)| stored.shape.len() > 1)
    }
}
