//! This machine's product peak: what the floors of `peers.py` divide by.
//!
//! Multiplies packed matrices of a layer's shapes on all threads, with each set of instructions that the processor has, and
//! prints the best GFLOP/s of several rounds as JSON. Run it in the same minute as what it is compared with: processors
//! that are shared or hot are not the same a minute later.
//!
//!     cargo bench --bench peak

use std::time::Instant;

use half::bf16;
use rayon::prelude::*;
use tokshift::kernel::{Element, Isa, PANEL, Packed, Rows};

/// Rows of a chunk, inputs and outputs.
const SHAPES: [(usize, usize, usize); 3] = [(256, 1024, 3072), (256, 2048, 1024), (128, 3072, 1024)];
/// Panels of one product, as in a layer; no shape has a rest.
const PANELS: usize = 8;
/// Each shape is timed for this long.
const SECONDS: f64 = 0.2;

fn main() {
    let threads = rayon::current_num_threads();
    let mut fields = vec![format!("\"threads\": {threads}")];
    for isa in Isa::all() {
        let best = |peak: fn(Isa, (usize, usize, usize)) -> f64| {
            SHAPES.map(|shape| peak(isa, shape)).into_iter().fold(0.0, f64::max)
        };
        fields.push(format!("\"{isa}\": {{\"bf16\": {:.0}, \"f32\": {:.0}}}", best(peak::<bf16>), best(peak::<f32>)));
    }
    println!("{{{}}}", fields.join(", "));
}

/// GFLOP/s of all threads together, each with rows of its own and the same weights.
fn peak<T: Element>(isa: Isa, (rows, depth, outputs): (usize, usize, usize)) -> f64 {
    let weights: Vec<T> = (0..outputs * depth).map(|i| T::from_f32((i % 251) as f32 / 251.0 - 0.5)).collect();
    let packed = Packed::new(&weights, outputs, depth);
    let values: Vec<f32> = (0..rows * depth).map(|i| (i % 241) as f32 / 241.0 - 0.5).collect();
    let threads = rayon::current_num_threads();
    let mut operands: Vec<(Rows<T>, Rows<f32>)> = Vec::new();
    for _ in 0..threads {
        let mut x = Rows::default();
        x.fill(&values, depth);
        let mut sums = Rows::default();
        sums.reset(rows, PANELS * PANEL);
        operands.push((x, sums));
    }
    let round = |operands: &mut Vec<(Rows<T>, Rows<f32>)>| {
        operands.par_iter_mut().with_max_len(1).for_each(|(x, sums)| {
            let stride = sums.stride();
            for first in (0..packed.panels()).step_by(PANELS) {
                packed.multiply(isa, x, first..first + PANELS, sums.from_mut(0), stride);
            }
        });
    };
    round(&mut operands);
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed().as_secs_f64() < SECONDS {
        let begin = Instant::now();
        round(&mut operands);
        best = best.min(begin.elapsed().as_secs_f64());
    }
    2.0 * (threads * rows * depth * outputs) as f64 / best / 1e9
}
