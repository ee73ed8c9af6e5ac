//! A weight matrix: a tensor for the reference implementation, or packed for a CPU's kernels.
//!
//! Owns this choice, which is made when the weight is loaded, so that no weight is stored twice. Not here: products.

use std::sync::Arc;

use candle_core::{CpuStorage, DType, Device, Error, Result, Storage, Tensor};
use half::bf16;

use crate::kernel::{Element, Isa, Packed};

/// Which implementation computes a model, and how its weights are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The reference implementation: tensor operations, on any device. The other is tested against it.
    Reference,
    /// The CPU implementation: packed weights and fused steps, with these instructions.
    Cpu(Isa),
}

impl Backend {
    /// The fastest one for `device`.
    ///
    /// # Errors
    /// The environment selects instructions that the processor does not have.
    pub fn of(device: &Device) -> crate::error::Result<Self> {
        if !device.is_cpu() {
            return Ok(Self::Reference);
        }
        Isa::from_env().map(Self::Cpu).map_err(crate::error::Error::Usage)
    }

    /// How a CPU sums products of weights of `dtype`, as [`Isa::arithmetic`] says; `None` of the reference
    /// implementation, whose sums are the library's.
    pub fn arithmetic(self, dtype: DType) -> Option<&'static str> {
        match (self, dtype) {
            (Self::Reference, _) => None,
            (Self::Cpu(isa), DType::BF16) => Some(isa.arithmetic::<bf16>()),
            (Self::Cpu(isa), _) => Some(isa.arithmetic::<f32>()),
        }
    }
}

/// `[outputs, depth]`. Clones share it.
#[derive(Clone)]
pub enum Weight {
    /// A tensor, for the reference implementation.
    Plain(Tensor),
    /// Packed bf16, for the CPU implementation.
    Bf16(Arc<Packed<bf16>>),
    /// Packed f32, for the CPU implementation.
    F32(Arc<Packed<f32>>),
}

/// An element that weights are held in.
pub trait Held: Element {
    /// The packed matrix of this type, if `weight` is one.
    fn of(weight: &Weight) -> Option<&Packed<Self>>;
}

impl Held for bf16 {
    fn of(weight: &Weight) -> Option<&Packed<Self>> {
        if let Weight::Bf16(packed) = weight { Some(packed) } else { None }
    }
}

impl Held for f32 {
    fn of(weight: &Weight) -> Option<&Packed<Self>> {
        if let Weight::F32(packed) = weight { Some(packed) } else { None }
    }
}

impl Weight {
    /// Packs a tensor on the CPU, which is let go; what is packed stays so.
    pub fn pack(&mut self) -> Result<()> {
        let Self::Plain(tensor) = self else { return Ok(()) };
        let tensor = tensor.contiguous()?;
        let (outputs, depth) = tensor.dims2()?;
        let packed = {
            let (storage, layout) = tensor.storage_and_layout();
            let (start, end) = layout.contiguous_offsets().unwrap_or_default();
            match &*storage {
                Storage::Cpu(CpuStorage::BF16(x)) => Self::Bf16(Arc::new(Packed::new(&x[start..end], outputs, depth))),
                Storage::Cpu(CpuStorage::F32(x)) => Self::F32(Arc::new(Packed::new(&x[start..end], outputs, depth))),
                _ => return Err(Error::msg("weights to pack are f32 or bf16, on the CPU")),
            }
        };
        *self = packed;
        Ok(())
    }

    /// Outputs and depth.
    pub fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Plain(tensor) => tensor.dims2(),
            Self::Bf16(packed) => Ok((packed.outputs(), packed.depth())),
            Self::F32(packed) => Ok((packed.outputs(), packed.depth())),
        }
    }

    /// Type of its elements.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Plain(tensor) => tensor.dtype(),
            Self::Bf16(_) => DType::BF16,
            Self::F32(_) => DType::F32,
        }
    }

    /// The tensor, for the reference implementation.
    pub fn plain(&self) -> Result<&Tensor> {
        if let Self::Plain(tensor) = self { Ok(tensor) } else { Err(Error::msg("packed weights are not a tensor")) }
    }

    /// The panels, for the CPU implementation.
    pub fn packed<T: Held>(&self) -> Result<&Packed<T>> {
        T::of(self).ok_or_else(|| Error::msg("weights are not packed in the type of the model"))
    }

    /// One output's weights, in f32.
    ///
    /// # Errors
    /// There is no such output.
    pub fn row(&self, output: usize, row: &mut [f32]) -> Result<()> {
        let (outputs, depth) = self.dims()?;
        if output >= outputs || row.len() != depth {
            return Err(Error::msg(format!(
                "there is no row {output} of {} in weights [{outputs}, {depth}]",
                row.len()
            )));
        }
        match self {
            Self::Plain(tensor) => {
                row.copy_from_slice(&tensor.get(output)?.to_dtype(DType::F32)?.to_vec1::<f32>()?);
            }
            Self::Bf16(packed) => unpack(packed, output, row),
            Self::F32(packed) => packed.row(output, row),
        }
        Ok(())
    }
}

fn unpack<T: Element>(packed: &Packed<T>, output: usize, row: &mut [f32]) {
    let mut narrow = vec![T::from_f32(0.0); row.len()];
    packed.row(output, &mut narrow);
    for (wide, narrow) in row.iter_mut().zip(narrow) {
        *wide = narrow.to_f32();
    }
}
