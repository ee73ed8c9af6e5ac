//! The embedding: one matrix row per token, plus what an adapter adds to it.
//!
//! Owns s · B A of single tokens. Not here: the factor by which some families multiply embeddings; it is applied to the
//! sum.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

use crate::decoder::weight::Weight;

/// `[vocab, hidden]`. Clones share it.
#[derive(Clone)]
pub struct Embedding {
    pub weight: Weight,
    added: Option<Arc<LowRankRows>>,
}

/// What is added to the row of each token, all in f32.
struct LowRankRows {
    rank: usize,
    /// `[vocab, rank]`.
    a: Vec<f32>,
    /// `[hidden, rank]`.
    b: Vec<f32>,
    scale: f32,
}

impl Embedding {
    pub fn new(weight: Weight) -> Self {
        Self { weight, added: None }
    }

    /// Adds `scale` · B A to the rows, of `a` `[rank, vocab]` and `b` `[hidden, rank]`; replaces what was added before.
    /// A head that is tied to the matrix gets nothing of it.
    pub fn add(&mut self, a: &Tensor, b: &Tensor, scale: f64) -> Result<()> {
        let numbers = |x: &Tensor| x.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        let added =
            LowRankRows { rank: a.dim(0)?, a: numbers(&a.t()?.contiguous()?)?, b: numbers(b)?, scale: scale as f32 };
        self.added = Some(Arc::new(added));
        Ok(())
    }

    /// The row of `token`, `[hidden]`.
    ///
    /// # Errors
    /// There is no such token.
    pub fn row(&self, token: u32, row: &mut [f32]) -> Result<()> {
        self.weight.row(token as usize, row)?;
        if let Some(added) = &self.added {
            added.add_to(token, row);
        }
        Ok(())
    }

    /// The rows of `tokens` on `device`, `[tokens, hidden]` in f32. The weight must be plain.
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn rows(&self, tokens: &[u32], device: &Device) -> Result<Tensor> {
        let rows = self.weight.plain()?.index_select(&Tensor::new(tokens, device)?, 0)?.to_dtype(DType::F32)?;
        let Some(added) = &self.added else { return Ok(rows) };
        let hidden = rows.dim(1)?;
        let mut sums = vec![0.0; tokens.len() * hidden];
        sums.chunks_exact_mut(hidden).zip(tokens).for_each(|(row, token)| added.add_to(*token, row));
        rows + Tensor::from_vec(sums, (tokens.len(), hidden), device)?
    }
}

impl LowRankRows {
    fn add_to(&self, token: u32, row: &mut [f32]) {
        let a = &self.a[token as usize * self.rank..][..self.rank];
        for (x, b) in row.iter_mut().zip(self.b.chunks_exact(self.rank)) {
            *x += self.scale * a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Result, Tensor};

    use super::{Embedding, Weight};

    /// The reference implementation reads many rows at once, the CPU implementation one at a time.
    #[test]
    fn rows_are_alike_however_they_are_asked_for() -> Result<()> {
        let device = Device::Cpu;
        let numbers = |rows: usize, columns: usize| {
            let some = (0..rows * columns).map(|place| (place as f32).sin()).collect::<Vec<_>>();
            Tensor::from_vec(some, (rows, columns), &device)
        };
        let mut embedding = Embedding::new(Weight::Plain(numbers(7, 5)?));
        let before = embedding.rows(&[6, 0, 6], &device)?.to_vec2::<f32>()?;
        embedding.add(&numbers(2, 7)?, &numbers(5, 2)?, 0.5)?;
        let together = embedding.rows(&[6, 0, 6], &device)?.to_vec2::<f32>()?;
        // B A of token 6 and dimension 0 is sin 0 · sin 6 + sin 1 · sin 13.
        let added = 0.5 * 1_f32.sin() * 13_f32.sin();
        assert!((together[0][0] - before[0][0] - added).abs() < 1e-6);
        for (token, row) in [6, 0, 6].into_iter().zip(&together) {
            let mut alone = vec![0.0; 5];
            embedding.row(token, &mut alone)?;
            assert_eq!(&alone, row);
        }
        Ok(())
    }
}
