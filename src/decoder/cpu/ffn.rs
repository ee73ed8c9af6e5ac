//! Gated feed-forwards and mixtures of them, for a chunk of rows.
//!
//! Owns the fused forms of `decoder::ffn`, which says what they compute: gate and up are combined one panel at a time,
//! so that no f32 of that width exists.

use candle_core::Result;

use super::product::{Input, Product};
use crate::decoder::ffn::{Gated, Mixture, choose};
use crate::decoder::spec::Activation;
use crate::decoder::weight::Held;
use crate::kernel::{Isa, PANEL, Rows, math};

/// What a thread needs, kept from chunk to chunk.
#[derive(Default)]
pub struct Scratch<T> {
    /// activation(gate x) · up x, `[rows, intermediate]`.
    pub gated: Input<T>,
    /// A panel's sums of gate and up.
    panels: [Rows<f32>; 2],
    /// The rows of one expert, and what it makes of them.
    sent: Input<T>,
    output: Rows<f32>,
}

/// What `down` reads, of `input`.
pub fn gate<T: Held>(isa: Isa, gated: &Gated, input: &Input<T>, scratch: &mut Scratch<T>) -> Result<()> {
    let Scratch { gated: out, panels: [gates, ups], .. } = scratch;
    gate_into(isa, gated, input, out, gates, ups)
}

fn gate_into<T: Held>(
    isa: Isa,
    gated: &Gated,
    input: &Input<T>,
    out: &mut Input<T>,
    gates: &mut Rows<f32>,
    ups: &mut Rows<f32>,
) -> Result<()> {
    let (mut gate, mut up) = (Product::new(isa, &gated.gate, input)?, Product::new(isa, &gated.up, input)?);
    let width = gate.outputs();
    out.reset(input.rounded.rows(), width, &[&gated.down]);
    for start in (0..width).step_by(PANEL) {
        let count = PANEL.min(width - start);
        gate.columns(start, count, gates);
        up.columns(start, count, ups);
        math::vectorised(
            #[inline(always)]
            || {
                for row in 0..gates.rows() {
                    let mut values = [0.0; PANEL];
                    let pairs = gates.row(row).iter().zip(ups.row(row));
                    for (value, (gate, up)) in values.iter_mut().zip(pairs) {
                        *value = up
                            * match gated.activation {
                                Activation::Silu => math::silu(*gate),
                                Activation::GeluTanh => math::gelu(*gate),
                            };
                    }
                    out.set(row, start, &values[..count]);
                }
            },
        );
    }
    Ok(())
}

/// A mixture of experts: what they add up to, into `total` `[rows, hidden]`. Experts add to a row in the order of their
/// indices.
pub fn mix<T: Held>(
    isa: Isa,
    mixture: &Mixture,
    input: &Input<T>,
    scratch: &mut Scratch<T>,
    total: &mut Rows<f32>,
) -> Result<()> {
    let Scratch { gated, panels: [gates, ups], sent, output } = scratch;
    let rows = input.rounded.rows();
    Product::new(isa, &mixture.router, input)?.columns(0, mixture.experts.len(), output);
    let mut places = vec![(Vec::new(), Vec::new()); mixture.experts.len()];
    for row in 0..rows {
        softmax(output.row_mut(row));
        for (expert, weight) in choose(output.row(row), &mixture.spec) {
            places[expert].0.push(row);
            places[expert].1.push(weight);
        }
    }
    total.reset(rows, input.rounded.depth());
    (0..rows).for_each(|row| total.row_mut(row).fill(0.0));
    for (expert, (rows, weights)) in mixture.experts.iter().zip(&places).filter(|(_, (rows, _))| !rows.is_empty()) {
        sent.gather(input, rows);
        gate_into(isa, expert, sent, gated, gates, ups)?;
        down(isa, expert, gated, output)?;
        for (place, (&row, weight)) in rows.iter().zip(weights).enumerate() {
            add(total.row_mut(row), output.row(place), *weight);
        }
    }
    if let Some((expert, gate)) = &mixture.shared {
        Product::new(isa, gate, input)?.columns(0, 1, gates);
        let weights: Vec<f32> = (0..rows).map(|row| math::sigmoid(gates.row(row)[0])).collect();
        gate_into(isa, expert, input, gated, gates, ups)?;
        down(isa, expert, gated, output)?;
        weights.iter().enumerate().for_each(|(row, weight)| add(total.row_mut(row), output.row(row), *weight));
    }
    Ok(())
}

fn down<T: Held>(isa: Isa, gated: &Gated, input: &Input<T>, output: &mut Rows<f32>) -> Result<()> {
    let mut product = Product::new(isa, &gated.down, input)?;
    let width = product.outputs();
    product.columns(0, width, output);
    Ok(())
}

fn add(total: &mut [f32], output: &[f32], weight: f32) {
    for (total, x) in total.iter_mut().zip(output) {
        *total += weight * x;
    }
}

/// By our own exponential: that of a system's library is another one elsewhere.
fn softmax(logits: &mut [f32]) {
    math::vectorised(
        #[inline(always)]
        || {
            let max = math::max(logits);
            for x in logits.iter_mut() {
                *x = math::exp(*x - max);
            }
            let sum = math::sum(logits, |x| x);
            for x in logits.iter_mut() {
                *x /= sum;
            }
        },
    );
}
