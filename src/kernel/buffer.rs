//! Memory that begins at a cache line.
//!
//! Owns alignment and the size of pages: a row of a tile or a vector that straddles two lines costs two loads, and
//! weights in pages of 4 KiB cost more look-ups of addresses than there are caches for.

#![allow(unsafe_code, reason = "bytes of an aligned line are plain data")]

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};
use memmap2::MmapMut;

/// From this size on, memory is mapped and large pages are requested for it.
const LARGE: usize = 1 << 20;

/// A slice of numbers at an alignment of 64 bytes.
pub struct Buffer<T> {
    bytes: Bytes,
    len: usize,
    of: PhantomData<T>,
}

enum Bytes {
    Lines(Vec<Line>),
    Mapped(MmapMut),
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

// SAFETY: 64 bytes at an alignment of 64: no padding, and every pattern of bits is a value.
unsafe impl Zeroable for Line {}
// SAFETY: as above; `Copy`, `'static`, `repr(C)`.
unsafe impl Pod for Line {}

impl<T: Pod> Buffer<T> {
    /// `len` zeros. Their pages are the system's to give when they are written.
    pub fn zeroed(len: usize) -> Self {
        let size = len * size_of::<T>();
        let mapped = if size >= LARGE { map(size) } else { None };
        let lines = || Bytes::Lines(bytemuck::zeroed_vec(size.div_ceil(size_of::<Line>())));
        Self { bytes: mapped.map_or_else(lines, Bytes::Mapped), len, of: PhantomData }
    }

    /// Makes room for `len` numbers; what they are is whatever was there.
    pub fn reserve(&mut self, len: usize) {
        if len > self.len {
            *self = Self::zeroed(len);
        }
    }
}

/// Fresh pages, large ones where the system has them; where it does not, or has no mapping to give, small ones do.
fn map(size: usize) -> Option<MmapMut> {
    let mapped = MmapMut::map_anon(size).ok()?;
    #[cfg(target_os = "linux")]
    let _ = mapped.advise(memmap2::Advice::HugePage);
    Some(mapped)
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self { bytes: Bytes::Lines(Vec::new()), len: 0, of: PhantomData }
    }
}

impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let bytes = match &self.bytes {
            Bytes::Lines(lines) => bytemuck::cast_slice(lines),
            Bytes::Mapped(mapped) => &mapped[..],
        };
        bytemuck::cast_slice(&bytes[..self.len * size_of::<T>()])
    }
}

impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let bytes = match &mut self.bytes {
            Bytes::Lines(lines) => bytemuck::cast_slice_mut(lines),
            Bytes::Mapped(mapped) => &mut mapped[..],
        };
        bytemuck::cast_slice_mut(&mut bytes[..self.len * size_of::<T>()])
    }
}
