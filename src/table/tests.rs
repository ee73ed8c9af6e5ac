use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, Float64Type, UInt32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::sample::Status;
use crate::schema::{sample, token};

mod reader;

const NOTHING: f32 = f32::NEG_INFINITY;

/// "ab" after a context of `before` ids; its tokens are "a" and "b".
fn sample_after(sample_id: u32, before: u32) -> Sample {
    let token = |i: u32| ResponseToken { index: before + i, start: i, end: i + 1, straddles: i == 0, is_end: i == 1 };
    Sample {
        sample_id,
        row: sample_id + 10,
        row_id: Some(format!("row {sample_id}")),
        turn: 0,
        is_cut: [None, Some(true), Some(false)][sample_id as usize % 3],
        cluster_id: "c".to_owned(),
        prompt: "p".to_owned(),
        response: "ab".to_owned(),
        ids: (0..before + 2).collect(),
        tokens: vec![token(0), token(1)],
        prompt_tokens_alone: before,
        recorded: None,
        kept: vec![Kept::Bool(true), Kept::Number(0.5), Kept::Text("x".to_owned())],
        status: Status::Ok,
        reason: None,
    }
}

/// Scores of as many tokens as there are log-probabilities, with lists of two; nothing is outside them.
fn scores(logprobs: &[f32]) -> TokenScores {
    let n = logprobs.len();
    TokenScores {
        logprob: logprobs.to_vec(),
        logit: vec![1.5; n],
        rank: vec![2; n],
        ties: vec![0; n],
        entropy: vec![0.25; n],
        rest_logprob: vec![NOTHING; n],
        min_logprob: vec![NOTHING; n],
        top_ids: [7, 9].repeat(n),
        top_logprobs: [-0.5, NOTHING].repeat(n),
        k: 2,
        top_ends: Vec::new(),
        hidden: Vec::new(),
    }
}

fn failed(sample_id: u32) -> ScoredSample {
    let mut sample = sample_after(sample_id, 0);
    sample.ids.clear();
    sample.tokens.clear();
    sample.kept.clear();
    sample.row_id = None;
    sample.fail(Status::Failed, "line 3: broken");
    ScoredSample { sample, scores: None }
}

/// One scored sample, one that failed, one whose first token has nothing before it.
fn three() -> Vec<ScoredSample> {
    vec![
        ScoredSample { sample: sample_after(0, 3), scores: Some(scores(&[-1.0, -2.0])) },
        failed(1),
        ScoredSample { sample: sample_after(2, 0), scores: Some(scores(&[-4.0])) },
    ]
}

fn kept() -> Vec<KeptField> {
    let field = |name: &str, kind| KeptField { name: name.to_owned(), kind, per_response: false };
    vec![field("good", KeptType::Bool), field("reward", KeptType::Number), field("tag", KeptType::Text)]
}

fn u32s(batch: &RecordBatch, name: &str) -> Vec<Option<u32>> {
    batch[name].as_primitive::<UInt32Type>().iter().collect()
}

fn f32s(batch: &RecordBatch, name: &str) -> Vec<Option<f32>> {
    batch[name].as_primitive::<Float32Type>().iter().collect()
}

fn f64s(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    batch[name].as_primitive::<Float64Type>().iter().collect()
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Vec<Option<&'a str>> {
    batch[name].as_string::<i32>().iter().collect()
}

fn bytes(table: Table, batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, table, batch, None).unwrap();
    bytes
}

fn parquet(table: Table, batch: &RecordBatch) -> RecordBatch {
    let file = tempfile::tempfile().unwrap();
    write(&file, table, batch, None).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.next().unwrap().unwrap()
}

#[test]
fn tokens_of_scored_samples_stand_in_order() {
    let batch = tokens_batch(&three()).unwrap();
    assert_eq!(batch.schema(), schema::tokens());
    let known = |values: [u32; 4]| values.map(Some).to_vec();
    assert_eq!(u32s(&batch, token::SAMPLE_ID), known([0, 0, 2, 2]));
    assert_eq!(u32s(&batch, token::POSITION), known([0, 1, 0, 1]));
    assert_eq!(u32s(&batch, token::TOKEN_ID), known([3, 4, 0, 1]));
    assert_eq!(texts(&batch, token::TOKEN), ["a", "b", "a", "b"].map(Some));
    assert_eq!(u32s(&batch, token::START), known([0, 1, 0, 1]));
    assert_eq!(u32s(&batch, token::END), known([1, 2, 1, 2]));
    let bools = |name: &str| batch[name].as_boolean().iter().map(Option::unwrap).collect::<Vec<_>>();
    assert_eq!(bools(token::STRADDLES), [true, false, true, false]);
    assert_eq!(bools(token::IS_END), [false, true, false, true]);
}

#[test]
fn a_token_with_nothing_before_it_has_no_numbers() {
    let batch = tokens_batch(&three()).unwrap();
    assert_eq!(f32s(&batch, token::LOGPROB), [Some(-1.0), Some(-2.0), None, Some(-4.0)]);
    assert_eq!(u32s(&batch, token::RANK), [Some(2), Some(2), None, Some(2)]);
    let lists = batch[token::TOP_IDS].as_list::<i32>();
    assert_eq!((0..4).map(|row| lists.value(row).len()).collect::<Vec<_>>(), [2, 2, 0, 2]);
    assert_eq!(lists.null_count(), 0, "an empty list is no null");
    // Nor does it count in the mean.
    let samples = samples_batch(&three(), &[]).unwrap();
    assert_eq!(f64s(&samples, sample::MEAN_LOGPROB), [Some(-1.5), None, Some(-4.0)]);
}

#[test]
fn columns_that_an_engine_does_not_fill_are_null() {
    let server = TokenScores { logprob: vec![-1.0, -2.0], rank: vec![1, 2], ..TokenScores::default() };
    let scored = [ScoredSample { sample: sample_after(0, 3), scores: Some(server) }];
    let batch = tokens_batch(&scored).unwrap();
    for name in [token::LOGIT, token::TIES, token::ENTROPY, token::REST_LOGPROB, token::MIN_LOGPROB] {
        assert_eq!(batch[name].null_count(), 2, "{name}");
    }
    assert_eq!((batch[token::LOGPROB].null_count(), batch[token::RANK].null_count()), (0, 0));
    assert!((0..2).all(|row| batch[token::TOP_LOGPROBS].as_list::<i32>().value(row).is_empty()));
    assert_eq!(parquet(Table::Tokens, &batch), batch);
}

#[test]
fn samples_are_all_there_with_what_is_known_of_them() {
    let batch = samples_batch(&three(), &kept()).unwrap();
    assert_eq!(u32s(&batch, sample::SAMPLE_ID), [Some(0), Some(1), Some(2)]);
    assert_eq!(u32s(&batch, sample::ROW), [Some(10), Some(11), Some(12)]);
    assert_eq!(batch[sample::IS_CUT].as_boolean().iter().collect::<Vec<_>>(), [None, Some(true), Some(false)]);
    assert_eq!(texts(&batch, sample::ROW_ID), [Some("row 0"), None, Some("row 2")]);
    assert_eq!(texts(&batch, sample::STATUS), [Some("ok"), Some("failed"), Some("ok")]);
    assert_eq!(texts(&batch, sample::REASON), [None, Some("line 3: broken"), None]);
    assert_eq!(u32s(&batch, sample::CONTEXT_TOKENS), [Some(3), None, Some(0)]);
    assert_eq!(u32s(&batch, sample::RESPONSE_TOKENS), [Some(2), Some(0), Some(2)]);
    assert_eq!(texts(&batch, sample::CONTEXT_HASH)[1], None);
    assert_eq!(f64s(&batch, sample::PERPLEXITY), [Some(1.5_f64.exp()), None, Some(4.0_f64.exp())]);
    assert_eq!(batch["good"].as_boolean().iter().collect::<Vec<_>>(), [Some(true), None, Some(true)]);
    assert_eq!(f64s(&batch, "reward"), [Some(0.5), None, Some(0.5)]);
    assert_eq!(texts(&batch, "tag"), [Some("x"), None, Some("x")]);
    assert_eq!(parquet(Table::Samples, &batch), batch);
}

#[test]
fn a_text_column_takes_values_of_any_type() {
    let mut scored = three();
    scored[0].sample.kept = vec![Kept::Number(1.5)];
    scored[2].sample.kept = vec![Kept::Bool(false)];
    let tag = [KeptField { name: "tag".to_owned(), kind: KeptType::Text, per_response: false }];
    assert_eq!(texts(&samples_batch(&scored, &tag).unwrap(), "tag"), [Some("1.5"), None, Some("false")]);
}

#[test]
fn minus_infinity_stays_and_an_unknown_value_is_null() {
    let batch = tokens_batch(&three()).unwrap();
    let read = parquet(Table::Tokens, &batch);
    assert_eq!(read, batch);
    assert_eq!(f32s(&read, token::REST_LOGPROB)[0], Some(NOTHING));
    assert_eq!(f32s(&read, token::REST_LOGPROB)[2], None);
    assert_eq!(f32s(&read, token::LOGPROB)[2], None);
}

#[test]
fn the_same_batch_gives_the_same_bytes() {
    let (tokens, samples) = (tokens_batch(&three()).unwrap(), samples_batch(&three(), &kept()).unwrap());
    for (table, batch) in [(Table::Tokens, &tokens), (Table::Samples, &samples)] {
        assert_eq!(bytes(table, batch), bytes(table, batch), "{table:?}");
    }
}

#[test]
fn a_part_without_a_scored_sample_is_an_empty_table() {
    let batch = tokens_batch(&[failed(0)]).unwrap();
    assert_eq!((batch.num_rows(), batch.schema()), (0, schema::tokens()));
    assert_eq!(bytes(Table::Tokens, &batch)[..4], *b"PAR1");
}

/// Readers rely on sorted tables: the footers must say that they are.
#[test]
fn footers_declare_the_order() {
    for (table, batch, columns) in [
        (Table::Tokens, tokens_batch(&three()).unwrap(), 2),
        (Table::Samples, samples_batch(&three(), &kept()).unwrap(), 1),
    ] {
        let file = tempfile::tempfile().unwrap();
        write(&file, table, &batch, None).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let sorting = reader.metadata().row_group(0).sorting_columns().unwrap();
        let ascending = |i: usize| !sorting[i].descending && sorting[i].column_idx == i as i32;
        assert!(sorting.len() == columns && (0..columns).all(ascending), "{sorting:?}");
    }
}

/// What a batch of one changed sample is rejected for; both tables must reject it.
fn rejection(change: impl Fn(&mut Vec<ScoredSample>)) -> String {
    let mut samples = three();
    change(&mut samples);
    let error = tokens_batch(&samples).unwrap_err().to_string();
    assert_eq!(samples_batch(&samples, &[]).unwrap_err().to_string(), error);
    let bare = error.strip_prefix("table: Invalid argument error: sample ").unwrap();
    bare.strip_suffix(" (this is a bug in tokshift)").unwrap().to_owned()
}

fn rejection_of_scores(index: usize, change: fn(&mut TokenScores)) -> String {
    rejection(|samples| change(samples[index].scores.as_mut().unwrap()))
}

#[test]
fn nan_is_rejected_wherever_it_stands() {
    assert_eq!(rejection_of_scores(0, |s| s.logprob[1] = f32::NAN), "0 logprob is NaN at position 1");
    assert_eq!(rejection_of_scores(0, |s| s.logit[0] = f32::NAN), "0 logit is NaN at position 0");
    assert_eq!(rejection_of_scores(0, |s| s.entropy[0] = f32::NAN), "0 entropy is NaN at position 0");
    assert_eq!(rejection_of_scores(0, |s| s.rest_logprob[0] = f32::NAN), "0 rest_logprob is NaN at position 0");
    assert_eq!(rejection_of_scores(0, |s| s.min_logprob[0] = f32::NAN), "0 min_logprob is NaN at position 0");
    assert_eq!(rejection_of_scores(0, |s| s.top_logprobs[3] = f32::NAN), "0 top_logprobs is NaN at position 1");
    // Sample 2's first token is not scored, so its first score is that of position 1.
    assert_eq!(rejection_of_scores(2, |s| s.logprob[0] = f32::NAN), "2 logprob is NaN at position 1");
}

/// A column of the wrong length must not come out as nulls, nor one token's numbers in another's row.
#[test]
fn scores_that_do_not_fit_their_sample_are_rejected() {
    assert_eq!(rejection_of_scores(0, |s| _ = s.logprob.pop()), "0 logprob has 1 entries, not 2");
    assert_eq!(rejection_of_scores(0, |s| s.logprob.clear()), "0 logprob has 0 entries, not 2");
    assert_eq!(rejection_of_scores(2, |s| s.logprob.push(-1.0)), "2 logprob has 2 entries, not 1");
    assert_eq!(rejection_of_scores(0, |s| _ = s.rank.pop()), "0 rank has 1 entries, not 2");
    assert_eq!(rejection_of_scores(0, |s| _ = s.top_ids.pop()), "0 top_ids has 3 entries, not 4");
    assert_eq!(rejection_of_scores(0, |s| s.top_logprobs.clear()), "0 top_logprobs has 0 entries, not 4");
    assert_eq!(rejection_of_scores(0, |s| s.k = 1), "0 top_ids has 4 entries, not 2");
}

#[test]
fn status_and_order_must_be_what_the_tables_promise() {
    assert_eq!(rejection(|samples| samples[0].scores = None), "0 is ok, but has no scores");
    assert_eq!(rejection(|samples| samples[1].scores = Some(TokenScores::default())), "1 is failed, but has scores");
    assert_eq!(rejection(|samples| samples.swap(0, 2)), "1 comes after sample 2");
    assert_eq!(rejection(|samples| samples[1].sample.sample_id = 0), "0 comes after sample 0");
}

/// Text that was never read is not an empty text.
#[test]
fn a_row_that_could_not_be_read_has_no_text() {
    let mut samples = vec![failed(0), failed(1), failed(2)];
    for failed in &mut samples {
        (failed.sample.prompt, failed.sample.response) = (String::new(), String::new());
    }
    samples[1].sample.status = Status::Empty;
    samples[2].sample.prompt = "p".to_owned();
    let batch = samples_batch(&samples, &[]).unwrap();
    assert_eq!(texts(&batch, sample::PROMPT), [None, Some(""), Some("p")]);
    assert_eq!(texts(&batch, sample::RESPONSE), [None, Some(""), Some("")]);
}
