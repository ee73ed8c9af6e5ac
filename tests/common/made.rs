//! Samples and manifests for whoever needs one: a test sets the fields that it is about, and a new field is added here alone.
//!
//! Owns the rest of their fields. Tests, unit tests, benches and the fuzzer share this file, so it names the library alone.

#![allow(dead_code)] // Each user takes a part of it.

use std::collections::BTreeMap;

use tokshift::dataset::{Part, Plan, RowHashes};
use tokshift::engine::RANK_STRICT;
use tokshift::sample::{ResponseToken, Sample, Status};
use tokshift::schema::FORMAT_VERSION;
use tokshift::store::{Cell, DatasetFacts, EngineFacts, Manifest, ReferenceFacts, TokenFacts};

/// A sample without text, whose response begins at `response`.
pub fn sample(sample_id: u32, ids: Vec<u32>, response: u32) -> Sample {
    Sample {
        sample_id,
        row: sample_id,
        row_id: None,
        turn: 0,
        is_cut: None,
        cluster_id: String::new(),
        prompt: String::new(),
        response: String::new(),
        tokens: (response..ids.len() as u32).map(token).collect(),
        ids,
        prompt_tokens_alone: 0,
        recorded: None,
        kept: Vec::new(),
        status: Status::Ok,
        reason: None,
    }
}

/// A token without bytes.
pub fn token(index: u32) -> ResponseToken {
    ResponseToken { index, start: 0, end: 0, straddles: false, is_end: false }
}

/// Parts of so many rows each, of one sample a row.
pub fn parts(rows: &[u32]) -> Vec<Part> {
    let mut first = 0;
    let part = |&rows: &u32| {
        let part =
            Part { first_row: first, rows, first_sample: first, samples: rows, offset: 0, bytes: 9, first_line: 1 };
        first += rows;
        part
    };
    rows.iter().map(part).collect()
}

/// What the mock made of Parquet tables of these parts.
pub fn manifest(cell: &Cell, parts: Vec<Part>) -> Manifest {
    let text = str::to_owned;
    let rows = parts.iter().map(|part| part.rows).sum();
    Manifest {
        format_version: FORMAT_VERSION,
        generation_model: cell.set.generation_model.clone(),
        task: cell.set.task.clone(),
        model: cell.model.clone(),
        out: text("parquet"),
        dataset: DatasetFacts {
            blake3: "d".repeat(64),
            rows,
            samples: rows,
            limit: None,
            window: None,
            fields: Vec::new(),
            cluster: None,
            keep_fields: Vec::new(),
        },
        tokens: TokenFacts {
            tokenizer: "t".repeat(64),
            vocabulary: None,
            bos: None,
            boundary: text("joint"),
            end: None,
            max_tokens: 512,
            too_long: text("skip"),
            chat_template: None,
            chat_template_kwargs: None,
        },
        engine: EngineFacts {
            name: text("mock"),
            source: None,
            files: BTreeMap::new(),
            dtype: text("f32"),
            device: text("cpu"),
            arithmetic: None,
            top_k: 2,
            vocab: None,
            vocabulary: None,
            other_texts: Vec::new(),
            chat_template: None,
            tokenizer: None,
            rank_rule: text(RANK_STRICT),
            keep_hidden: None,
        },
        reference: ReferenceFacts::default(),
        begun_as: None,
        hashes: RowHashes::default(),
        parts,
    }
}

/// As [`manifest`], of a dataset that was scanned.
pub fn manifest_of(cell: &Cell, plan: &Plan) -> Manifest {
    Manifest { dataset: DatasetFacts::of(plan), ..manifest(cell, plan.parts.clone()) }
}
