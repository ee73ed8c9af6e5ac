//! A linear map's product with a chunk of rows, panel by panel.
//!
//! Owns what is added to W x: an adapter's part, in f32 whatever the model's type, and the bias.

use candle_core::Result;

use crate::decoder::linear::Linear;
use crate::decoder::weight::Held;
use crate::kernel::{DEPTH, Isa, PANEL, Packed, Rows, math};

/// What products read: rows as they are, where an adapter reads them, and rounded to the model's type.
#[derive(Default)]
pub struct Input<T> {
    pub rounded: Rows<T>,
    exact: Rows<f32>,
    keeps_exact: bool,
}

impl<T: Held> Input<T> {
    /// Becomes `[rows, depth]`, to be read by `linears`; the numbers are whatever was there.
    pub fn reset(&mut self, rows: usize, depth: usize, linears: &[&Linear]) {
        self.keeps_exact = linears.iter().any(|linear| linear.low_rank.is_some());
        self.rounded.reset(rows, depth);
        if self.keeps_exact {
            self.exact.reset(rows, depth);
        }
    }

    /// Sets numbers of `row` from `first` on. Called within [`math::vectorised`].
    #[inline(always)]
    pub fn set(&mut self, row: usize, first: usize, values: &[f32]) {
        T::round(values, &mut self.rounded.row_mut(row)[first..]);
        if self.keeps_exact {
            self.exact.row_mut(row)[first..first + values.len()].copy_from_slice(values);
        }
    }

    /// Becomes rows `rows` of `other`.
    pub fn gather(&mut self, other: &Self, rows: &[usize]) {
        self.keeps_exact = other.keeps_exact;
        copy_rows(&mut self.rounded, &other.rounded, rows);
        if self.keeps_exact {
            copy_rows(&mut self.exact, &other.exact, rows);
        }
    }
}

fn copy_rows<T: Held>(to: &mut Rows<T>, from: &Rows<T>, rows: &[usize]) {
    to.reset(rows.len(), from.depth());
    for (place, &row) in rows.iter().enumerate() {
        to.row_mut(place).copy_from_slice(from.row(row));
    }
}

/// W x + b + s · B (A x) for the rows of an input.
pub struct Product<'a, T> {
    isa: Isa,
    weights: &'a Packed<T>,
    input: &'a Rows<T>,
    bias: Option<Vec<f32>>,
    added: Option<Added<'a>>,
}

/// An adapter's part.
struct Added<'a> {
    b: &'a Packed<f32>,
    scale: f32,
    /// A x, `[rows, rank]`.
    inner: Rows<f32>,
    /// Sums of one panel, `[rows, 32]`.
    sums: Rows<f32>,
}

impl<'a, T: Held> Product<'a, T> {
    pub fn new(isa: Isa, linear: &'a Linear, input: &'a Input<T>) -> Result<Self> {
        let added = match &linear.low_rank {
            None => None,
            Some(low_rank) => {
                let a = low_rank.a.packed::<f32>()?;
                let mut inner = Rows::default();
                inner.reset(input.exact.rows(), a.outputs());
                let stride = inner.stride();
                a.multiply(isa, &input.exact, 0..a.panels(), inner.from_mut(0), stride);
                let mut sums = Rows::default();
                sums.reset(inner.rows(), PANEL);
                Some(Added { b: low_rank.b.packed()?, scale: low_rank.scale as f32, inner, sums })
            }
        };
        let bias = linear.bias.as_ref().map(candle_core::Tensor::to_vec1).transpose()?;
        Ok(Self { isa, weights: linear.weight.packed()?, input: &input.rounded, bias, added })
    }

    pub fn outputs(&self) -> usize {
        self.weights.outputs()
    }

    /// The outputs `start..start + width` of all rows into `y`, which becomes `[rows, width]`. `start` begins a panel.
    pub fn columns(&mut self, start: usize, width: usize, y: &mut Rows<f32>) {
        assert!(start.is_multiple_of(PANEL), "columns begin with a panel");
        y.reset(self.input.rows(), width);
        let stride = y.stride();
        let panels = start / PANEL..(start + width).div_ceil(PANEL);
        self.weights.multiply(self.isa, self.input, panels.clone(), y.from_mut(0), stride);
        if let Some(added) = &mut self.added {
            for panel in panels {
                added.add(self.isa, panel, panel * PANEL - start, y);
            }
        }
        if let Some(bias) = &self.bias {
            for row in 0..y.rows() {
                for (y, bias) in y.row_mut(row).iter_mut().zip(&bias[start..]) {
                    *y += bias;
                }
            }
        }
    }
}

impl Added<'_> {
    /// To the columns of `y` from `first` on, those of `panel`.
    fn add(&mut self, isa: Isa, panel: usize, first: usize, y: &mut Rows<f32>) {
        let stride = self.sums.stride();
        self.b.multiply(isa, &self.inner, panel..panel + 1, self.sums.from_mut(0), stride);
        for row in 0..y.rows() {
            for (y, sum) in y.row_mut(row)[first..].iter_mut().zip(self.sums.row(row)) {
                *y += self.scale * sum;
            }
        }
    }
}

/// 1 / √(mean x² + ε): what an RMS norm multiplies by (Zhang & Sennrich 2019).
#[inline(always)]
pub fn inverse_rms(x: &[f32], eps: f32) -> f32 {
    1.0 / (math::sum(x, |x| x * x) / x.len() as f32 + eps).sqrt()
}

/// The norm of `x` in place.
#[inline(always)]
pub fn normalise(x: &mut [f32], weight: &[f32], eps: f32) {
    let scale = inverse_rms(x, eps);
    for (x, weight) in x.iter_mut().zip(weight) {
        *x = *x * scale * weight;
    }
}

const _: () = assert!(DEPTH.is_multiple_of(PANEL), "rows of sums are padded to whole panels");
