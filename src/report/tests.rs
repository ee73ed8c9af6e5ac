//! Blocks of made parts: what is written is read, by Rust here and by the page's script under `node --test`.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::block::Kind;
use super::columns::reader::Reader;
use super::index::{self, BINS, IndexRow};
use super::lists::{MOST_ENTRIES, STEPS, kept};
use super::part::{Class, Part, Sample};
use super::tables::{SampleRow, Scores, TokenRows, UNKNOWN};
use super::vocabulary::{Seen, Vocabulary};
use super::{texts, tokens};

/// Log-probability, entropy, rank and list of one token by one model.
type Scored = (f32, f32, u32, Vec<(u32, f32)>);

fn scores(of: &[Scored]) -> Scores {
    let mut scores = Scores::default();
    for (logprob, entropy, rank, list) in of {
        scores.logprob.push(*logprob);
        scores.entropy.push(*entropy);
        scores.rank.push(*rank);
        scores.top_ids.extend(list.iter().map(|(id, _)| id));
        scores.top_logprobs.extend(list.iter().map(|(_, logprob)| logprob));
        scores.list_ends.push(scores.top_ids.len());
    }
    scores
}

/// A part of one-letter tokens: ids and each model's scores of every sample's tokens, the KL if there is one.
fn part(samples: &[Vec<(u32, [Scored; 2])>], kl: Option<Vec<f64>>) -> Part {
    let all: Vec<_> = samples.iter().flatten().cloned().collect();
    let of = |model: usize| scores(&all.iter().map(|(_, scored)| scored[model].clone()).collect::<Vec<_>>());
    let mut rows = TokenRows { scores: of(0), ..TokenRows::default() };
    let (mut found, mut at) = (Vec::new(), 0);
    for (i, tokens) in samples.iter().enumerate() {
        let text = |id: u32| char::from(b'a' + (id % 26) as u8).to_string();
        for (position, (id, _)) in (0_u32..).zip(tokens) {
            rows.keys.push((i as u32, position));
            rows.ids.push(*id);
            rows.texts.push(Some(text(*id).into()));
            rows.spans.push((position, position + 1));
            rows.is_end.push(position as usize + 1 == tokens.len());
            rows.straddles.push(false);
        }
        let row = SampleRow {
            id: i as u32,
            row: i as u32 + 7,
            prompt: Some(format!("prompt {}", i / 2)),
            response: Some(tokens.iter().map(|(id, _)| text(*id)).collect()),
            kept: vec![Some(format!("kept {i}"))],
            ..SampleRow::default()
        };
        found.push(Sample { row, tokens: at..at + tokens.len() });
        at += tokens.len();
    }
    Part { samples: found, rows, others: vec![of(1)], kl: vec![kl] }
}

fn a_list() -> impl Strategy<Value = Vec<(u32, f32)>> {
    prop::collection::vec((0_u32..40, -12.0_f32..0.0), 0..20).prop_map(|mut list| {
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        list
    })
}

fn a_token() -> impl Strategy<Value = (u32, [Scored; 2])> {
    let scored = || (-30.0_f32..0.0, 0.0_f32..9.0, 0_u32..100_000, a_list());
    (0_u32..40, scored(), scored()).prop_map(|(id, p, q)| (id, [p, q]))
}

/// Reads one model's columns and compares them with its scores.
fn must_be(reader: &mut Reader, scores: &Scores, n: usize, vocabulary: &Vocabulary) {
    assert_eq!(reader.floats(n), scores.logprob);
    assert_eq!(reader.floats(n), scores.entropy);
    assert_eq!(reader.numbers(4, n), scores.rank);
    let counts = reader.bytes(n).to_vec();
    let entries = counts.iter().map(|count| usize::from(*count)).sum();
    let (ids, steps) = (reader.numbers(3, entries), reader.numbers(2, entries));
    let mut at = 0;
    for (row, count) in counts.into_iter().enumerate() {
        let (expected, logprobs) = scores.list(row);
        assert_eq!(usize::from(count), kept(logprobs));
        assert!(usize::from(count) <= MOST_ENTRIES);
        for (id, logprob) in expected.iter().zip(logprobs).take(count.into()) {
            assert_eq!(ids[at], vocabulary.place(*id));
            assert!((-(steps[at] as f32) / STEPS - logprob).abs() <= 0.5 / STEPS + 1e-6);
            at += 1;
        }
    }
}

proptest! {
    #[test]
    fn tokens_are_read_as_they_were_written(
        samples in prop::collection::vec(prop::collection::vec(a_token(), 1..9), 1..5),
        has_kl: bool,
    ) {
        let n: usize = samples.iter().map(Vec::len).sum();
        let kl: Vec<f64> = (0..n).map(|i| i as f64 / 3.0).collect();
        let part = part(&samples, has_kl.then(|| kl.clone()));
        let vocabulary = Vocabulary::new(Seen::of(&part), None);
        let places: Vec<usize> = (0..samples.len()).collect();
        let block = tokens::columns(&part, &places, &vocabulary);
        let mut reader = Reader::of(&block, Kind::Tokens as u8);
        prop_assert_eq!((reader.count(), reader.count()), (samples.len(), n));
        prop_assert_eq!(reader.bytes(1), [1]);
        prop_assert_eq!(reader.numbers(4, samples.len()), samples.iter().map(|s| s.len() as u32).collect::<Vec<_>>());
        let ids: Vec<u32> = reader.numbers(3, n).iter().map(|place| vocabulary.ids[*place as usize - 1]).collect();
        prop_assert_eq!(&ids, &part.rows.ids);
        prop_assert_eq!(reader.numbers(4, n), vec![0; n]);
        prop_assert_eq!(reader.numbers(4, n), vec![0; n]);
        prop_assert_eq!(reader.numbers(4, n), vec![1; n]);
        let ends: Vec<bool> = reader.bytes(n).iter().map(|flags| flags & 1 == 1).collect();
        prop_assert_eq!(&ends, &part.rows.is_end);
        must_be(&mut reader, &part.rows.scores, n, &vocabulary);
        must_be(&mut reader, &part.others[0], n, &vocabulary);
        prop_assert_eq!(reader.bytes(1), [u8::from(has_kl)]);
        if has_kl {
            prop_assert_eq!(reader.floats(n), kl.iter().map(|kl| *kl as f32).collect::<Vec<_>>());
        }
        let classes: Vec<u8> = (0..n).map(|row| part.class(0, row) as u8).collect();
        prop_assert_eq!(reader.bytes(n), classes);
        prop_assert!(reader.0.is_empty());
    }
}

#[test]
fn a_class_is_the_place_in_the_others_list() {
    let list = |ids: &[u32]| ids.iter().map(|id| (*id, -1.0)).collect::<Vec<_>>();
    let of = |p: &[u32], q: &[u32]| {
        let scored = |ids| (-1.0, 1.0, 1, list(ids));
        part(&[vec![(1, [scored(p), scored(q)])]], None).class(0, 0)
    };
    assert_eq!(of(&[5], &[5, 6, 7]), Class::Unshifted);
    assert_eq!([of(&[5], &[6, 5, 7]), of(&[5], &[6, 7, 5])], [Class::Marginal; 2]);
    assert_eq!([of(&[5], &[6, 7, 8, 5]), of(&[5], &[6, 7, 8])], [Class::Shifted; 2]);
    assert_eq!([of(&[], &[6, 7, 8]), of(&[5], &[5, 6])], [Class::Unknown; 2]);
}

/// The fixture that the page's script is held to: every kind of block of one part, and what they say.
#[test]
fn the_fixture_of_the_script_is_what_is_written() {
    let scored = |logprob: f32, rank, list: &[(u32, f32)]| (logprob, -logprob / 2.0, rank, list.to_vec());
    let token = |id, a: f32, b: f32| {
        let p = scored(a, 1, &[(id, a), (3, -2.5), (9, -5.0), (11, -7.0)]);
        let q = scored(b, 300_000, &[(3, -0.25), (id, -1.5), (70_000, -4.0), (9, -6.0)]);
        (id, [p, q])
    };
    let samples = [
        vec![token(4, -0.125, -3.625), token(70_000, -1.0, -0.5), token(2, f32::NAN, -1.0)],
        vec![token(4, -0.75, -0.7), token(2, -0.001, -9.5)],
        vec![token(70_000, -6.5, -0.01)],
    ];
    let mut part = part(&samples, Some(vec![0.1, 0.2, 0.3, 0.4, 0.5, f64::from(0.6_f32)]));
    part.samples[1].row.prompt = Some("</script><img onerror=x> \u{202e}é😀".to_owned());
    // A character over two tokens.
    part.rows.spans[3..5].copy_from_slice(&[(0, 3), (3, 4)]);
    part.samples[1].row.response = Some("😀".to_owned());
    part.rows.ids[5] = UNKNOWN;
    let vocabulary = Vocabulary::new(Seen::of(&part), None);
    let rows: Vec<IndexRow> = part.samples.iter().map(|sample| IndexRow::of(&part, sample)).collect();
    let blocks = [
        ("vocabulary", vocabulary.columns()),
        ("index", index::columns(&rows.iter().collect::<Vec<_>>(), 1, 1)),
        ("texts", texts::columns(&part, &[0, 1, 2])),
        ("tokens", tokens::columns(&part, &[0, 1, 2], &vocabulary)),
    ];
    let strip = |row: &IndexRow| row.shifts[0].strip.to_vec();
    let expected = json!({
        "bins": BINS,
        "ids": vocabulary.ids,
        "texts": vocabulary.ids.iter().map(|id| vocabulary.text(*id)).collect::<Vec<_>>(),
        "index": rows.iter().map(|row| json!({
            "id": row.id, "row": row.row, "tokens": row.tokens, "prompt": row.prompt, "response": row.response, "field": row.kept[0],
            "delta": row.shifts[0].delta as f32, "kl": row.shifts[0].kl as f32, "most": row.shifts[0].most as f32,
            "mostAt": row.shifts[0].most_at, "shifted": row.shifts[0].shifted, "classed": row.shifts[0].classed, "strip": strip(row),
        })).collect::<Vec<_>>(),
        "samples": part.samples.iter().map(|sample| json!({
            "prompt": sample.row.prompt, "response": sample.row.response,
            "tokens": sample.tokens.clone().map(|row| of_token(&part, row, &vocabulary)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/report");
    let json = serde_json::to_string_pretty(&expected).unwrap() + "\n";
    let files = blocks
        .into_iter()
        .map(|(name, bytes)| (format!("{name}.block"), bytes))
        .chain([("expected.json".to_owned(), json.into_bytes())]);
    for (name, bytes) in files {
        if std::env::var_os("TOKSHIFT_WRITE_FIXTURES").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(&name), &bytes).unwrap();
        }
        assert!(
            fs::read(folder.join(&name)).unwrap() == bytes,
            "{name}: run with TOKSHIFT_WRITE_FIXTURES=1 and node --test"
        );
    }
}

fn of_token(part: &Part, row: usize, vocabulary: &Vocabulary) -> Value {
    let model = |scores: &Scores| {
        let (ids, logprobs) = scores.list(row);
        let n = kept(logprobs);
        let steps = logprobs[..n].iter().map(|x| (-x * STEPS).round() as u32).collect::<Vec<_>>();
        json!({"logprob": scores.logprob[row], "entropy": scores.entropy[row], "rank": scores.rank[row], "ids": ids[..n], "steps": steps})
    };
    json!({
        "place": vocabulary.place(part.rows.ids[row]), "span": [part.rows.spans[row].0, part.rows.spans[row].1], "isEnd": part.rows.is_end[row],
        "models": [model(&part.rows.scores), model(&part.others[0])],
        "kl": part.exact(0, row) as f32, "class": part.class(0, row) as u8,
    })
}

/// The page makes the same marks visible as the terminal; line ends and tabs it shows by themselves.
#[test]
fn the_script_knows_the_marks_that_hide_writing() {
    let script = include_str!("../../assets/report/state.js");
    let class = script.split("const HIDDEN = /[").nth(1).unwrap().split("]/gu").next().unwrap();
    let code = |text: &str| u32::from_str_radix(text.strip_prefix("\\u").unwrap(), 16).unwrap();
    let mut ranges = Vec::new();
    let mut rest = class;
    while !rest.is_empty() {
        let (first, after) = rest.split_at(6);
        let (last, after) = match after.strip_prefix('-') {
            Some(after) => after.split_at(6),
            None => (first, after),
        };
        ranges.push(code(first)..=code(last));
        rest = after;
    }
    for c in (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| !matches!(c, '\n' | '\t')) {
        let is_escaped = crate::escape::visible(&c.to_string()) != c.to_string();
        assert_eq!(ranges.iter().any(|range| range.contains(&u32::from(c))), is_escaped, "{c:?}");
    }
}
