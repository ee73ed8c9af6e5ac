//! A row's numbers depend on the row alone, to the bit: whatever else is computed, in whatever batches, by however many
//! threads.

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rayon::ThreadPoolBuilder;

use tokshift::engine::Engine;

use super::{TokenScores, directory, engine, fixtures, load, reference, sample, score, score_samples};

/// The fixture's rows, and rollouts: other endings of the longest rows, and proper prefixes of them.
fn texts(fixture: &str) -> Vec<Vec<u32>> {
    let mut ids: Vec<Vec<u32>> = reference(fixture).iter().map(|row| row.ids.clone()).collect();
    for row in ids.clone().iter().filter(|row| row.len() > 60) {
        ids.push([&row[..50], &row[3..40]].concat());
        ids.push(row[..33].to_vec());
    }
    ids
}

/// Some of the texts in any order, some of them twice, are any forest: what a resumed run has left among them.
#[test]
fn rows_are_bit_equal_alone_and_in_any_forest() {
    let config = Config { cases: 2, failure_persistence: None, ..Config::default() };
    let pools = [1, 2].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    for (fixture, dtype) in fixtures().flat_map(|f| [(f, DType::F32), (f, DType::BF16)]) {
        let texts = texts(fixture);
        let alone = engine(fixture, dtype, 1);
        let alone: Vec<TokenScores> = texts.iter().flat_map(|ids| score(&alone, &[ids])).collect();
        for batch_tokens in [1, 130, 4096] {
            let engine = engine(fixture, dtype, batch_tokens);
            for pool in &pools {
                let whole: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
                assert!(pool.install(|| score(&engine, &whole)) == alone, "{fixture} {dtype:?} {batch_tokens}");
                let forests = prop::collection::vec(0..texts.len(), 1..2 * texts.len());
                let run = TestRunner::new(config.clone()).run(&forests, |picks| {
                    let ids: Vec<&[u32]> = picks.iter().map(|&pick| texts[pick].as_slice()).collect();
                    let packed = pool.install(|| score(&engine, &ids));
                    for (pick, packed) in picks.iter().zip(&packed) {
                        prop_assert!(*packed == alone[*pick], "text {} differs", pick);
                    }
                    Ok(())
                });
                let threads = pool.current_num_threads();
                run.unwrap_or_else(|e| {
                    panic!("{fixture} {dtype:?}, batches of {batch_tokens}, {threads} threads: {e}")
                });
            }
        }
    }
}

/// Texts of several blocks of keys (128), two of which part in the middle of one; all ends are in the middle of a tile.
fn long_texts(vocab: u32, limit: usize) -> Vec<Vec<u32>> {
    let ids = |seed: u32, length: u32| (0..length).map(move |i| (i * i * 31 + i * seed + seed) % vocab);
    let texts = [ids(3, 200).chain(ids(5, 101)), ids(3, 200).chain(ids(7, 189)), ids(11, 77).chain(ids(13, 0))];
    texts.map(|text| text.take(limit).collect()).to_vec()
}

/// What is not read does not change what is, in the last layer either.
#[test]
fn rows_are_bit_equal_across_blocks_of_keys_and_beside_rows_that_are_not_read() {
    let pools = [1, 7].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    for (fixture, dtype) in fixtures().flat_map(|f| [(f, DType::F32), (f, DType::BF16)]) {
        let (apart, together) = (engine(fixture, dtype, 1), engine(fixture, dtype, 4096));
        let texts = long_texts(apart.caps().vocab as u32, apart.caps().max_tokens);
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let alone: Vec<TokenScores> = texts.iter().flat_map(|ids| score(&apart, &[ids])).collect();
        for pool in &pools {
            let threads = pool.current_num_threads();
            assert!(pool.install(|| score(&together, &texts)) == alone, "{fixture} {dtype:?}, {threads} threads");
            let is_read = |index: usize| !index.is_multiple_of(9) && !(20..215).contains(&index);
            let mut samples: Vec<_> = texts.iter().enumerate().map(|(i, ids)| sample(i, ids)).collect();
            for sample in &mut samples {
                sample.tokens.retain(|token| is_read(token.index as usize));
            }
            let found = pool.install(|| score_samples(&together, samples));
            for (found, alone) in found.iter().zip(&alone) {
                let mut expected = TokenScores::default();
                (0..alone.len()).filter(|i| is_read(i + 1)).for_each(|i| expected.extend(alone, i..i + 1));
                assert!(*found == expected, "{fixture} {dtype:?}, {threads} threads, some rows read");
            }
        }
    }
}

/// A fixture whose tied embedding is repeated, a little changed, up to `vocab` ids.
fn with_vocabulary(vocab: usize) -> tempfile::TempDir {
    let from = directory("qwen3-tied");
    let to = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(from.join("config.json")).unwrap();
    let config = config.replace("\"vocab_size\": 307", &format!("\"vocab_size\": {vocab}"));
    std::fs::write(to.path().join("config.json"), config).unwrap();
    let mut tensors = candle_core::safetensors::load(from.join("model.safetensors"), &Device::Cpu).unwrap();
    let name = "model.embed_tokens.weight";
    let rows = tensors[name].to_vec2::<f32>().unwrap();
    let row = |id: usize| rows[id % 307].iter().map(move |x| x * (1.0 + (id / 307) as f32 / 64.0));
    let weights: Vec<f32> = (0..vocab).flat_map(row).collect();
    tensors.insert(name.to_owned(), Tensor::from_vec(weights, (vocab, rows[0].len()), &Device::Cpu).unwrap());
    candle_core::safetensors::save(&tensors, to.path().join("model.safetensors")).unwrap();
    to
}

#[test]
fn a_vocabulary_just_above_a_block_keeps_its_bits() {
    for vocab in [4097, 4110, 4160] {
        let directory = with_vocabulary(vocab);
        let ids: Vec<Vec<u32>> =
            (1..8).map(|row| (0..row * 17).map(|i| (i * i * 37 + row * 4093) % vocab as u32).collect()).collect();
        let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let alone = score(&load(directory.path(), DType::F32, 1, vocab), &ids);
        let packed = score(&load(directory.path(), DType::F32, 4096, vocab), &ids);
        assert_eq!(alone, packed, "a vocabulary of {vocab}");
        for (ids, scores) in ids.iter().zip(&packed) {
            for (i, &target) in ids[1..].iter().enumerate() {
                let list = i * vocab..(i + 1) * vocab;
                let place = scores.top_ids[list.clone()].iter().position(|&id| id == target).unwrap();
                assert_eq!(
                    scores.top_logprobs[list][place], scores.logprob[i],
                    "a target and its entry are one number"
                );
            }
        }
    }
}
