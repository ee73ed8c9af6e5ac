//! Logits of two models at the same positions, a tile of positions at a time.
//!
//! Owns the size of a tile, and the two heads' products, each computed once. Rows of a logits file are read where they
//! are compared. Tiles are not kept.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::error_bound::Accuracy;
use super::failure::Failure;
use super::in_16_bits::{self, Distribution};
use super::measures::{Logits, Options, Row, measure};
use super::position::Position;
use super::side::Side;
use crate::decoder::Head;
use crate::error::Result;
use crate::stop::Stop;

/// Bytes of both models' logits that exist at once. Rows share the passage of a head's weights through the cache: at
/// 151,936 ids these are some 400.
const LOGIT_BYTES: usize = 512 << 20;
/// Rows beyond which more would not be faster.
const MAX_ROWS: usize = 1024;

/// Rows whose whole vocabulary is in memory in f64 at once: they share the passage of the weights.
const WHOLE_ROWS: usize = 64;

/// Two models, and room for their logits that is taken up once: fresh memory would cost as much as what is computed in it.
pub struct Tiles<'a> {
    sides: [Side<'a>; 2],
    logits: [Vec<f32>; 2],
    /// Rows so far that were measured with every id in f64 in the end.
    pub again: usize,
    /// Where P is a logits file: the sum so far of what llama.cpp counts as KLD.
    pub kld_of_llama_cpp: f64,
}

impl<'a> Tiles<'a> {
    /// Tiles for rows that both heads multiply, or that are numbers of a logits file's rows.
    pub fn new(sides: [Side<'a>; 2]) -> Self {
        Self { sides, logits: Default::default(), again: 0, kld_of_llama_cpp: 0.0 }
    }

    /// Whether a side is a logits file.
    pub fn has_file(&self) -> bool {
        Side::heads(self.sides).is_none()
    }

    /// Rows of a tile.
    pub fn rows(&self) -> usize {
        let row = self.sides.iter().map(|side| side.vocab() * size_of::<f32>()).sum::<usize>();
        (LOGIT_BYTES / row.max(1)).clamp(1, MAX_ROWS)
    }

    /// Compares up to a tile: `hidden` are `[rows, width]` of each model, `targets` the rows' tokens, if they have one.
    ///
    /// # Errors
    /// Logits that are not finite; [`Error::Stopped`].
    pub fn compare(
        &mut self,
        hidden: &[Vec<f32>; 2],
        targets: &[Option<u32>],
        options: Options,
        stop: &Stop,
    ) -> Result<Vec<Row>, Failure> {
        for (side, room) in self.logits.iter_mut().enumerate() {
            if let Side::Head(head) = self.sides[side] {
                logits(head, &hidden[side], targets.len(), stop, room)?;
            }
        }
        let Some(heads) = Side::heads(self.sides) else { return self.compare_in_16_bits(hidden, targets, options) };
        let [of_p, of_q] = &mut self.logits;
        let (of_p, of_q) = (of_p.par_chunks_exact_mut(heads[0].vocab()), of_q.par_chunks_exact_mut(heads[1].vocab()));
        let rows = of_p.zip(of_q).zip(targets).enumerate();
        let rows = rows.map_init(Vec::new, |likely, (row, ((p, q), target))| {
            let hidden = [0, 1].map(|side| hidden_row(hidden, targets, side, row));
            let mut position = Position { row, heads, hidden, logits: [p, q], target: *target, options };
            position.measure(likely)
        });
        let mut rows: Vec<(Row, Accuracy)> = rows.collect::<Result<_, Failure>>()?;
        let unsure: Vec<usize> = (0..rows.len()).filter(|&row| rows[row].1 != Accuracy::Reached).collect();
        self.again += unsure.len();
        for unsure in unsure.chunks(WHOLE_ROWS) {
            let again = self.compare_whole(heads, unsure, hidden, targets, options, stop)?;
            unsure.iter().zip(again).for_each(|(&row, again)| rows[row] = (again, Accuracy::Reached));
        }
        Ok(rows.into_iter().map(|(row, _)| row).collect())
    }

    /// Compares rows of which one side at least is in a logits file.
    fn compare_in_16_bits(
        &mut self,
        hidden: &[Vec<f32>; 2],
        targets: &[Option<u32>],
        options: Options,
    ) -> Result<Vec<Row>, Failure> {
        let of = |side: usize, row: usize| -> Result<Distribution, Failure> {
            match self.sides[side] {
                Side::Head(head) => {
                    let logits = &self.logits[side][row * head.vocab()..][..head.vocab()];
                    Distribution::of_logits(logits, options.temperature).ok_or(Failure::NotFinite { row, side })
                }
                Side::File(file) => {
                    let number = hidden_row(hidden, targets, side, row)[0] as usize;
                    Ok(Distribution::of_file(file, number, options.temperature)?)
                }
            }
        };
        let measured = targets.par_iter().enumerate().map(|(row, target)| {
            let [p, q] = [of(0, row)?, of(1, row)?];
            Ok((in_16_bits::measure([&p, &q], *target, options), in_16_bits::kld_of_llama_cpp(&p, &q)))
        });
        let (rows, klds): (Vec<Row>, Vec<f64>) = measured.collect::<Result<Vec<_>, Failure>>()?.into_iter().unzip();
        self.kld_of_llama_cpp += klds.iter().sum::<f64>();
        Ok(rows)
    }

    /// Measures `rows` again, every id in f64. Of their f32 logits those are left that one head alone has.
    fn compare_whole(
        &self,
        heads: [&Head; 2],
        rows: &[usize],
        hidden: &[Vec<f32>; 2],
        targets: &[Option<u32>],
        options: Options,
        stop: &Stop,
    ) -> Result<Vec<Row>, Failure> {
        let of_side = |side: usize| {
            let hidden: Vec<&[f32]> = rows.iter().map(|&row| hidden_row(hidden, targets, side, row)).collect();
            heads[side].all_exact_logits(&hidden, stop)
        };
        let whole = [of_side(0)?, of_side(1)?];
        let vocab = heads.map(Head::vocab);
        let n = vocab[0].min(vocab[1]);
        let ids: Vec<u32> = (0..n as u32).collect();
        let [of_p, of_q] = &self.logits;
        let measured = rows.par_iter().enumerate().map(|(at, &row)| {
            let mut p = of_p[row * vocab[0]..(row + 1) * vocab[0]].to_vec();
            let mut q = of_q[row * vocab[1]..(row + 1) * vocab[1]].to_vec();
            let exact = [0, 1].map(|side: usize| &whole[side][at * vocab[side]..][..n]);
            let caps = heads.map(Head::cap);
            let logits = Logits { all: [&mut p, &mut q], likely: &ids, exact, of_each: n, caps };
            let measured = measure(logits, targets[row], options);
            measured.map(|(row, _)| row).map_err(Failure::of(row))
        });
        measured.collect()
    }
}

fn hidden_row<'a>(hidden: &'a [Vec<f32>; 2], targets: &[Option<u32>], side: usize, row: usize) -> &'a [f32] {
    let width = hidden[side].len() / targets.len();
    &hidden[side][row * width..][..width]
}

/// `[rows, vocabulary]`, into `room`.
fn logits(head: &Head, hidden: &[f32], rows: usize, stop: &Stop, room: &mut Vec<f32>) -> Result<()> {
    let (width, vocab) = (hidden.len() / rows, head.vocab());
    let count = head.rows_at_once(rows, rayon::current_num_threads());
    room.resize(rows * vocab, 0.0);
    room.par_chunks_mut(count * vocab).zip(hidden.par_chunks(count * width)).try_for_each(|(logits, hidden)| {
        let hidden = Tensor::from_slice(hidden, (hidden.len() / width, width), &Device::Cpu)?;
        head.for_each_block(&hidden, stop, |block| {
            for (row, logits) in logits.chunks_exact_mut(vocab).enumerate() {
                logits[block.first as usize..][..block.width].copy_from_slice(block.row(row));
            }
        })
    })
}
