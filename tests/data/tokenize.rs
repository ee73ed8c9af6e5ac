//! Token ids and response tokens against Hugging Face tokenizers in Python, and what holds for any text.
//!
//! Tokenizers and expectations were made by `scripts/make_tokenizer_fixtures.py`, which counts response tokens on its
//! own. The table of all cases: `cargo test --release --test data -- --nocapture --test-threads 1 expected`.

mod config_files;
mod versions;
mod vocabularies;

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use tokshift::dataset::{Content, ReadRow, Row};
use tokshift::sample::{Kept, ResponseToken, Sample, Status};
use tokshift::template::ChatTemplate;
use tokshift::tokenize::{Audit, Boundary, SampleOptions, TextTokenizer, TooLong};

const TOKENIZERS: [&str; 5] = ["bytelevel", "bos", "bos_eos", "nfc", "sentencepiece"];
/// The first of these are byte-level and take the text as it is, so any run of whole characters decodes to itself.
const UNNORMALISED: usize = 3;
/// `<|im_end|>` of `bytelevel`.
const END: u32 = 274;
const JOINT: SampleOptions =
    SampleOptions { boundary: Boundary::Joint, end: None, max_tokens: 1000, too_long: TooLong::Skip };

fn path(name: &str) -> std::path::PathBuf {
    Path::new("tests/fixtures/tokenizers").join(format!("{name}.json"))
}

fn tokenizer(name: &str) -> TextTokenizer {
    TextTokenizer::from_file(&path(name)).unwrap()
}

/// The library itself, as a user would call it.
fn plain(name: &str) -> tokenizers::Tokenizer {
    tokenizers::Tokenizer::from_file(path(name)).unwrap()
}

fn row(content: Content) -> Row {
    Row { id: None, cluster: None, contents: vec![content], kept: Vec::new(), is_dump: false }
}

fn text_row(input: &str, output: &str) -> Row {
    row(Content::Text { input: input.into(), output: output.into(), cut: None })
}

fn sample(tokenizer: &TextTokenizer, row: Row, options: &SampleOptions) -> Sample {
    let mut samples = tokenizer.samples(ReadRow { row: 0, line: 1, first_sample: 0, content: Ok(row) }, options);
    assert_eq!(samples.len(), 1);
    samples.remove(0)
}

fn text(tokenizer: &TextTokenizer, input: &str, output: &str, options: &SampleOptions) -> Sample {
    sample(tokenizer, text_row(input, output), options)
}

fn token(index: u32, start: u32, end: u32) -> ResponseToken {
    ResponseToken { index, start, end, straddles: false, is_end: false }
}

/// The study's rule: tokens from the place after the prompt's own length on.
fn study_tokens(sample: &Sample) -> usize {
    sample.ids.len().saturating_sub(sample.prompt_tokens_alone as usize + 1)
}

/// Tokens of text follow one another in `ids` and in bytes, and cover the response from end to end.
fn covers(sample: &Sample) -> Result<(), TestCaseError> {
    let mut at = 0;
    let mut index = sample.tokens[0].index;
    for (i, token) in sample.tokens.iter().enumerate() {
        prop_assert_eq!(token.index, index, "token {} of {:?}", i, sample.tokens);
        prop_assert_eq!(token.start, at, "token {} of {:?}", i, sample.tokens);
        prop_assert!(token.end >= token.start);
        prop_assert!(!token.straddles || i == 0);
        (at, index) = (token.end, index + 1);
    }
    prop_assert_eq!(at as usize, sample.response.len(), "{:?}", sample.tokens);
    prop_assert_eq!(index as usize, sample.ids.len());
    Ok(())
}

#[test]
fn all_cases_give_what_python_expects() {
    let expected = std::fs::read_to_string(path("expected")).unwrap();
    let expected: Vec<Value> = serde_json::from_str(&expected).unwrap();
    let tokenizers = TOKENIZERS.map(|name| (name, tokenizer(name)));
    println!("{:<45} {:<14} all response tokens, study's rule", "case", "tokenizer");
    let mut wrong = Vec::new();
    for case in &expected {
        let (name, title) = (case["tokenizer"].as_str().unwrap(), case["case"].as_str().unwrap());
        let (_, tokenizer) = tokenizers.iter().find(|(n, _)| *n == name).unwrap();
        let sample = text(tokenizer, case["input"].as_str().unwrap(), case["output"].as_str().unwrap(), &JOINT);
        println!("{title:<45} {name:<14} {:>3} {:>3}", sample.tokens.len(), study_tokens(&sample));
        if let Err(e) = agrees(&sample, case) {
            wrong.push(format!("{title}, {name}: {e}\n{sample:?}"));
        }
    }
    assert_eq!(expected.len() % TOKENIZERS.len(), 0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn agrees(sample: &Sample, case: &Value) -> Result<(), TestCaseError> {
    let number = |name: &str| case[name].as_u64().unwrap();
    let ids: Vec<u32> = case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
    prop_assert_eq!(&sample.ids, &ids);
    prop_assert_eq!(sample.status, Status::Ok);
    prop_assert_eq!(sample.tokens.len() as u64, number("response_tokens"));
    prop_assert_eq!(sample.tokens[0].straddles, case["straddles"].as_bool().unwrap());
    prop_assert_eq!(u64::from(sample.prompt_tokens_alone), number("prompt_tokens_alone"));
    prop_assert_eq!(study_tokens(sample) as u64, number("study_tokens"));
    covers(sample)?;
    let ranges: Vec<Value> = sample.tokens.iter().map(|t| serde_json::json!([t.start, t.end])).collect();
    if let Some(expected) = case["ranges"].as_array() {
        prop_assert_eq!(&ranges, expected);
    }
    Ok(())
}

#[test]
fn a_separate_boundary_encodes_both_texts_alone() {
    for name in TOKENIZERS {
        let (ours, plain) = (tokenizer(name), plain(name));
        let options = SampleOptions { boundary: Boundary::Separate, ..JOINT };
        for (input, output) in [("go un", "der\n"), ("hello\n\n", "\n\nhello"), ("cafe", "\u{301} 𓂀"), ("", " x")] {
            let sample = text(&ours, input, output, &options);
            let prompt = plain.encode(input, false).unwrap().get_ids().to_vec();
            let response =
                if input.is_empty() { continued(&plain, "", output) } else { continued(&plain, "\u{1}", output) };
            assert_eq!(sample.ids, [ours.prefix(), &prompt, &response].concat(), "{name}");
            assert_eq!(sample.tokens.len(), response.len());
            assert_eq!(sample.context(), [ours.prefix(), &prompt].concat());
            assert!(!sample.tokens[0].straddles);
            covers(&sample).unwrap();
        }
    }
}

/// The ids of a text that goes on where SentencePiece's byte `before` ends; of other tokenizers, those of the text.
fn continued(plain: &tokenizers::Tokenizer, before: &str, text: &str) -> Vec<u32> {
    let encode = |text: &str| plain.encode(text, false).unwrap().get_ids().to_vec();
    let spaced = |ids: &[u32]| ids.first().is_some_and(|&id| plain.id_to_token(id).unwrap().starts_with('▁'));
    if before.is_empty() || !spaced(&encode("\u{1}")) {
        return encode(text);
    }
    encode(&[before, text].concat()).split_off(encode(before).len())
}

/// Llama 2's tokenizer begins texts with a space, and a response is none that begins.
#[test]
fn a_separate_response_begins_with_no_space_that_is_not_in_it() {
    let tokenizer = tokenizer("sentencepiece");
    let options = SampleOptions { boundary: Boundary::Separate, ..JOINT };
    for (input, output, tokens) in [
        ("2+2=", "4", vec![token(5, 0, 1)]),
        ("hello\n", "hello", vec![token(3, 0, 5)]),
        ("x", " x", vec![token(2, 0, 1), token(3, 1, 2)]),
    ] {
        let joint = text(&tokenizer, input, output, &JOINT);
        let apart = text(&tokenizer, input, output, &options);
        assert_eq!(apart.ids.len(), joint.ids.len(), "{input}{output}");
        assert_eq!(apart.tokens.len(), tokens.len(), "{:?}", apart.tokens);
        assert_eq!(apart.tokens.last().map(|token| token.end), tokens.last().map(|token| token.end));
    }
    // What follows an added token within the response has the space that transformers puts there.
    let inner = text(&tokenizer, "x", "x</s>x", &options);
    assert_eq!(inner.ids[3..], continued(&plain("sentencepiece"), "\u{1}", "x</s>x"));
    assert_eq!(inner.tokens.len(), 4);
}

#[test]
fn only_a_bos_is_put_before_the_text() {
    let prefixes = TOKENIZERS.map(|name| tokenizer(name).prefix().to_vec());
    assert_eq!(prefixes, [vec![], vec![272], vec![272], vec![], vec![1]]);
}

#[test]
fn an_end_token_follows_a_response_that_was_not_cut() {
    let tokenizer = tokenizer("bytelevel");
    for boundary in [Boundary::Joint, Boundary::Separate] {
        let options = SampleOptions { boundary, end: Some(END), ..JOINT };
        let whole = text(&tokenizer, "x", "hello", &options);
        let end = ResponseToken { is_end: true, ..token(2, 5, 5) };
        assert_eq!(whole.tokens, [token(1, 0, 5), end]);
        assert_eq!((whole.ids.last(), whole.response.as_str()), (Some(&END), "hello"));

        let cut = row(Content::Text { input: "x".into(), output: "hello".into(), cut: Some(true) });
        let cut = sample(&tokenizer, cut, &options);
        assert_eq!((cut.tokens, cut.ids.len()), (vec![token(1, 0, 5)], 2));

        let empty = text(&tokenizer, "x", "", &options);
        assert_eq!((empty.status, empty.tokens.len(), empty.ids.len()), (Status::Empty, 0, 1));
    }
}

#[test]
fn an_empty_response_has_no_tokens() {
    for name in TOKENIZERS {
        for input in ["", "hello", "hello "] {
            let sample = text(&tokenizer(name), input, "", &JOINT);
            assert_eq!((sample.status, sample.tokens.len()), (Status::Empty, 0), "{name}");
            assert!(sample.reason.is_some());
        }
    }
}

#[test]
fn a_response_that_comes_first_has_a_token_that_none_scores() {
    let scored = TOKENIZERS.map(|name| {
        let sample = text(&tokenizer(name), "", "xyz", &JOINT);
        (sample.tokens.len(), sample.scored_tokens().count())
    });
    // SentencePiece's own space is a token here: it stands for none of the response's bytes.
    assert_eq!(scored, [(3, 2), (3, 3), (3, 3), (3, 2), (4, 4)]);
}

#[test]
fn what_is_too_long_is_skipped_or_truncated() {
    let tokenizer = tokenizer("bos");
    let run = |max_tokens, too_long, end| {
        text(&tokenizer, "abc", "defgh", &SampleOptions { max_tokens, too_long, end, ..JOINT })
    };
    assert_eq!(run(9, TooLong::Skip, None).status, Status::Ok);
    assert_eq!(run(8, TooLong::Truncate, Some(END)).status, Status::Truncated);
    for too_long in [TooLong::Skip, TooLong::Fail] {
        let skipped = run(7, too_long, None);
        assert_eq!((skipped.status, skipped.ids.len(), skipped.tokens.len()), (Status::TooLong, 0, 0));
        assert_eq!(skipped.reason.as_deref(), Some("8 tokens, the context holds 7"));
    }
    // `defgh` is `de f g h`.
    let cut = run(6, TooLong::Truncate, Some(END));
    assert_eq!((cut.status, cut.tokens), (Status::Truncated, vec![token(4, 0, 2), token(5, 2, 3)]));
    assert_eq!((cut.ids.len(), cut.reason.as_deref()), (6, Some("9 tokens, the context holds 6")));
    // The prompt alone fills the context.
    let none = run(4, TooLong::Truncate, None);
    assert_eq!((none.status, none.ids.len()), (Status::TooLong, 0));
}

fn ids_row(prompt: &[u32], response: &[u32], output: Option<&str>) -> Row {
    let (prompt, response) = (prompt.to_vec(), response.to_vec());
    row(Content::Ids { prompt, response, input: None, output: output.map(str::to_owned), cut: None })
}

#[test]
fn ids_are_never_tokenised_again() {
    let tokenizer = tokenizer("bytelevel");
    // `h e l l o` by letters, as no tokenizer would give it.
    let letters = [104, 101, 108, 108, 111];
    let decoded = sample(&tokenizer, ids_row(&[273], &letters, None), &JOINT);
    assert_eq!((decoded.prompt.as_str(), decoded.response.as_str()), ("<|im_start|>", "hello"));
    assert_eq!((&decoded.ids[1..], decoded.prompt_tokens_alone), (&letters[..], 1));
    // The study counts a prompt without what stands before every text, whether it comes as text or as ids.
    let (ids, words) = (ids_row(&[272, 104], &letters, None), text_row("h", "ello"));
    let [ids, words] = [ids, words].map(|row| sample(&self::tokenizer("bos"), row, &JOINT));
    assert_eq!((ids.prompt_tokens_alone, words.prompt_tokens_alone), (1, 1));
    assert_eq!(decoded.tokens, (0..5).map(|i| token(i + 1, i, i + 1)).collect::<Vec<_>>());
    covers(&decoded).unwrap();

    // Ids win over a text that they do not decode to.
    let other = sample(&tokenizer, ids_row(&[], &letters, Some("help")), &JOINT);
    assert_eq!((other.response.as_str(), other.tokens.len()), ("hello", 5));
    let spaced = sample(&tokenizer, ids_row(&[], &[267], Some("hello")), &JOINT);
    assert_eq!((spaced.response.as_str(), spaced.tokens), (" hello", vec![token(0, 0, 6)]));
}

#[test]
fn the_text_of_ids_may_leave_out_what_ended_it() {
    let tokenizer = tokenizer("bytelevel");
    // `--end` adds nothing to ids; it says which token ended them.
    let options = SampleOptions { end: Some(END), ..JOINT };
    let ended = sample(&tokenizer, ids_row(&[97], &[265, END], Some("hello")), &options);
    assert_eq!(ended.ids, [97, 265, END]);
    assert_eq!(ended.tokens, [token(1, 0, 5), ResponseToken { is_end: true, ..token(2, 5, 5) }]);
    assert_eq!(ended.response, "hello");

    let written = sample(&tokenizer, ids_row(&[97], &[265, END], Some("hello<|im_end|>")), &options);
    assert_eq!(written.tokens, [token(1, 0, 5), ResponseToken { is_end: true, ..token(2, 5, 15) }]);
    let unended = sample(&tokenizer, ids_row(&[97], &[265], Some("hello")), &options);
    assert_eq!((unended.ids.len(), unended.tokens), (2, vec![token(1, 0, 5)]));
}

#[test]
fn ids_beyond_the_vocabulary_or_inside_a_character_are_kept() {
    for name in TOKENIZERS {
        let tokenizer = tokenizer(name);
        for (prompt, response) in [(vec![], vec![u32::MAX, 5000]), (vec![9999], vec![128, 269, 130, 9999, 128])] {
            let sample = sample(&tokenizer, ids_row(&prompt, &response, None), &JOINT);
            assert_eq!((sample.status, &sample.ids), (Status::Ok, &[prompt, response].concat()), "{name}");
            covers(&sample).unwrap();
        }
    }
    let none = sample(&tokenizer("bos"), ids_row(&[1], &[], None), &JOINT);
    assert_eq!((none.status, none.tokens.len()), (Status::Empty, 0));
}

#[test]
fn a_bad_row_is_a_failed_sample() {
    let read = ReadRow { row: 3, line: 4, first_sample: 2, content: Err("`output` is null".into()) };
    let samples = tokenizer("bos").samples(read, &JOINT);
    let [sample] = &samples[..] else { panic!("{samples:?}") };
    assert_eq!((sample.status, sample.reason.as_deref()), (Status::Failed, Some("`output` is null")));
    assert_eq!((sample.row, sample.sample_id, sample.ids.len()), (3, 2, 0));
}

/// The matcher gives up beyond a million steps, and the library takes that for the end of the text.
#[test]
fn white_space_without_end_is_rejected() {
    let tokenizer = tokenizer("bytelevel");
    let options = SampleOptions { max_tokens: 1 << 20, ..JOINT };
    let blanks = |n: usize| text(&tokenizer, &" ".repeat(n - 10), &(" ".repeat(10) + "y"), &options);
    assert_eq!(blanks(400_000).ids.len(), 200_002);
    let rejected = blanks(500_001);
    assert_eq!(rejected.status, Status::Failed);
    assert!(rejected.reason.unwrap().contains("500000 characters of white space in a row"));
}

#[test]
fn samples_of_a_row_share_their_cluster() {
    let tokenizer = tokenizer("bytelevel");
    let rollout = |output: &str| Content::Text { input: "go un".into(), output: output.into(), cut: None };
    let samples = |row: Row| tokenizer.samples(ReadRow { row: 7, line: 9, first_sample: 40, content: Ok(row) }, &JOINT);
    // `under` is one token: the first response's context is shorter than the second's, and neither is the prompt alone.
    let contents = vec![rollout("der"), rollout("x"), rollout("")];
    let row =
        Row { id: Some("r".into()), cluster: None, contents, kept: vec![Kept::Number(1.0).into()], is_dump: false };
    let three = samples(row.clone());
    let places: Vec<_> = three.iter().map(|s| (s.sample_id, s.row, s.turn, s.row_id.as_deref())).collect();
    assert_eq!(places, [(40, 7, 0, Some("r")), (41, 7, 1, Some("r")), (42, 7, 2, Some("r"))]);
    let alone = tokshift::digest::ids(&tokenizer.whole("go un").unwrap());
    assert!(three.iter().all(|s| s.cluster_id == alone && s.kept == [Kept::Number(1.0)]));
    assert_ne!(three[0].context_hash(), three[1].context_hash());
    assert_eq!(three.iter().map(|s| s.status).collect::<Vec<_>>(), [Status::Ok, Status::Ok, Status::Empty]);
    let grouped = samples(Row { cluster: Some("g".into()), ..row });
    assert!(grouped.iter().all(|s| s.cluster_id == "g"));

    let chat = Content::Chat { messages: "[]".into(), tools: None, kwargs: None, before: 0, turns: 2, cut: None };
    let turns =
        samples(Row { id: None, cluster: None, contents: vec![chat, rollout("x")], kept: Vec::new(), is_dump: false });
    let statuses: Vec<_> = turns.iter().map(|s| (s.sample_id, s.status)).collect();
    assert_eq!(statuses, [(40, Status::Failed), (41, Status::Failed), (42, Status::Ok)]);
}

#[test]
fn what_may_surprise_is_counted() {
    let audit = |name: &str, row: Row| {
        let tokenizer = tokenizer(name);
        let mut audit = Audit::default();
        audit.add(&tokenizer, &sample(&tokenizer, row, &JOINT));
        audit
    };
    let clean = Audit::default();
    assert_eq!(audit("bytelevel", text_row("x", "hello")), clean);
    assert_eq!(audit("bytelevel", text_row("go un", "der")), Audit { merged: 1, ..clean.clone() });
    assert_eq!(audit("nfc", text_row("cafe", " e\u{301}")), Audit { changed: 1, ..clean.clone() });
    assert_eq!(audit("sentencepiece", text_row("hello", " x")), Audit { bos: 1, ..clean.clone() });
    let doubled = audit("bos", text_row("<|begin_of_text|>hello", "x"));
    assert_eq!(doubled, Audit { bos: 1, bos_doubled: 1, ..clean.clone() });
    assert_eq!(audit("bos", ids_row(&[104], &[104], None)), Audit { bos_lacking: 1, ..clean.clone() });
    assert_eq!(audit("bytelevel", ids_row(&[104], &[9999], None)), Audit { unknown_ids: 1, ..clean.clone() });
    // Half a character is no other text where there is none.
    assert_eq!(audit("bytelevel", ids_row(&[104], &[104, 195], None)), clean);
    assert_eq!(audit("bytelevel", ids_row(&[104], &[104], Some("x"))), clean);
    assert_eq!(audit("bytelevel", text_row("", "hello")), Audit { unscored: 1, ..clean.clone() });
    assert_eq!(audit("sentencepiece", text_row("", "x")), Audit { bos: 1, spaced: 1, ..clean.clone() });

    let mut both = doubled.clone();
    both.merge(doubled);
    let failed =
        ReadRow { row: 0, line: 3, first_sample: 0, content: Err("line 3: broken JSON: x at column 7".into()) };
    both.skip(&tokenizer("bos").samples(failed, &JOINT)[0]);
    let lines = [
        "2 samples: the ids begin with the tokenizer's BOS",
        "2 samples: the ids begin with BOS twice, because the text begins with it",
        "1 sample: failed: broken JSON: x",
    ];
    assert_eq!(both.lines(), lines);
}

/// What makes tokens and boundaries awkward.
const AWKWARD: &str = "e~\u{301}~\u{323}~\u{1112}~\u{1161}~\u{11ab}~𓂀~👩\u{200d}🚀~\u{212b}~ ~  ~\n\n~\r\n~\t~\0~\u{7f}~\
    \u{feff}~▁~<s>~</s>~<think>~<0x0A>~<|im_start|>~<|im_end|>~<|begin_of_text|>~hello~under~\u{958}~\u{fb2c}~Ġ~x";

/// Texts of awkward pieces between arbitrary characters.
fn any_text() -> impl Strategy<Value = String> {
    let awkward = select(AWKWARD.split('~').collect::<Vec<_>>()).prop_map(str::to_owned);
    let piece = prop_oneof![4 => awkward, 1 => ".{0,3}", 1 => any::<char>().prop_map(String::from)];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_covered_by_its_tokens(input in any_text(), output in any_text(), which in 0..5_usize) {
        LOADED.with(|loaded| {
            let (ours, plain) = &loaded[which];
            let encode = |text: &str| plain.encode(text, false).unwrap().get_ids().to_vec();
            for boundary in [Boundary::Joint, Boundary::Separate] {
                let sample = text(ours, &input, &output, &SampleOptions { boundary, ..JOINT });
                let before = if input.is_empty() { "" } else { "\u{1}" };
                let ids = match boundary {
                    Boundary::Joint => encode(&[&*input, &*output].concat()),
                    Boundary::Separate => [encode(&input), continued(plain, before, &output)].concat(),
                };
                prop_assert_eq!(&sample.ids, &[ours.prefix(), &ids].concat());
                prop_assert_eq!(sample.prompt_tokens_alone as usize, encode(&input).len());
                if sample.tokens.is_empty() {
                    prop_assert_eq!(sample.status, Status::Empty);
                    prop_assert!(output.is_empty());
                } else {
                    covers(&sample)?;
                }
                if which < UNNORMALISED && !output.is_empty() {
                    let decoded = plain.decode(&sample.ids[sample.tokens[0].index as usize..], false).unwrap();
                    let straddles = sample.tokens[0].straddles;
                    prop_assert!(if straddles { decoded.ends_with(&output) } else { decoded == output }, "{}", decoded);
                }
            }
            Ok(())
        })?;
    }
}

/// The tokenizer with a chat template that writes contents one after another, with a BOS before them.
fn with_template(name: &str, template: &str) -> TextTokenizer {
    let (bos, end) = MARKS[TOKENIZERS.iter().position(|known| *known == name).unwrap()];
    let folder = tempfile::TempDir::new().unwrap();
    let config = serde_json::json!({"chat_template": format!("{bos}{template}"), "eos_token": end});
    std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    tokenizer(name).with_template(ChatTemplate::of_model(folder.path()).unwrap())
}

/// verl's and TRL's dumps are decoded with `skip_special_tokens`. A text is counted where it has no special token and shows
/// what the template writes around a message, or is of such a dump; never where it has one, nor without a template that
/// writes any.
#[test]
fn texts_decoded_without_special_tokens_are_counted() {
    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
                          {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    const PLAIN: &str = "{% for m in messages %}{{ m.role }}\n{{ m.content }}\n{% endfor %}\
                         {% if add_generation_prompt %}assistant\n{% endif %}";
    let stripped = |template: &str, (input, output): (&str, &str), is_dump: bool, end: Option<u32>| {
        let tokenizer = with_template("bytelevel", template);
        let content = Ok(Row { is_dump, ..text_row(input, output) });
        let mut audit = Audit::default();
        let read = ReadRow { row: 0, line: 1, first_sample: 0, content };
        tokenizer.audited(read, &SampleOptions { end, ..JOINT }, &mut audit);
        audit.stripped
    };
    let decoded = ("system\nbe brief\nuser\nhello\nassistant\n", "hello");
    assert_eq!(stripped(CHATML, decoded, false, None), 1);
    // The end token that an option appends says nothing of the text.
    assert_eq!(stripped(CHATML, decoded, false, Some(274)), 1);
    let with_tokens = ("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n", "hello");
    let plain = ("Question: hello\nAnswer:", " hello");
    for (text, is_dump, expected) in
        [(with_tokens, false, 0), (with_tokens, true, 0), (plain, false, 0), (plain, true, 1)]
    {
        assert_eq!(stripped(CHATML, text, is_dump, None), expected, "{text:?} {is_dump}");
    }
    assert_eq!(stripped(CHATML, ("hello\nassistant\n", "x"), false, None), 0, "nothing says where a user spoke");
    for is_dump in [false, true] {
        assert_eq!(stripped(PLAIN, decoded, is_dump, None), 0, "this template writes no special token");
    }
}

/// What begins a text and what ends one.
const MARKS: [(&str, &str); 5] = [
    ("", "<|im_end|>"),
    ("<|begin_of_text|>", "<|end_of_text|>"),
    ("<|begin_of_text|>", "<|end_of_text|>"),
    ("", "<|im_end|>"),
    ("<s>", "</s>"),
];
const CONTENTS: &str = "{% for m in messages %}{{ m.content }}{{ eos_token if m.role == 'assistant' }}{% endfor %}";

fn chat(prompt: &str, response: &str) -> Content {
    let messages = serde_json::json!([
        {"role": "user", "content": prompt},
        {"role": "assistant", "content": response},
    ]);
    Content::Chat { messages: messages.to_string(), tools: None, kwargs: None, before: 0, turns: 1, cut: None }
}

/// The clusters of rows of these contents, one a row that could be read.
fn clusters(tokenizer: &TextTokenizer, rows: Vec<Vec<Content>>, boundary: Boundary) -> BTreeSet<String> {
    let mut clusters = BTreeSet::new();
    for (number, contents) in (0..).zip(rows) {
        let row = Row { id: None, cluster: None, contents, kept: Vec::new(), is_dump: false };
        let read = ReadRow { row: number, line: 1, first_sample: 0, content: Ok(row) };
        let samples = tokenizer.samples(read, &SampleOptions { boundary, ..JOINT });
        let read = samples.iter().filter(|sample| sample.status != Status::Failed);
        clusters.extend(read.map(|sample| sample.cluster_id.clone()));
    }
    clusters
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was answered, and however the rows hold it; another prompt is another cluster.
    #[test]
    fn a_prompt_is_one_cluster(
        prompt in any_text(),
        other in any_text(),
        outputs in proptest::collection::vec(any_text(), 1..4),
        which in 0..5_usize,
        boundary in select(vec![Boundary::Joint, Boundary::Separate]),
    ) {
        let ours = with_template(TOKENIZERS[which], CONTENTS);
        let text = |prompt: &str, output: &String| {
            Content::Text { input: prompt.to_owned(), output: output.clone(), cut: None }
        };
        let ids = |prompt: &str, output: &String| {
            let (prompt, response) = (ours.whole(prompt).unwrap(), output.bytes().map(u32::from).collect());
            Content::Ids { prompt, response, input: None, output: None, cut: None }
        };
        let all = |prompt: &str, content: &dyn Fn(&str, &String) -> Content| {
            let each: Vec<Content> = outputs.iter().map(|output| content(prompt, output)).collect();
            let apart = each.iter().map(|content| vec![content.clone()]).chain([each.clone()]);
            clusters(&ours, apart.collect(), boundary)
        };
        let texts = &all(&prompt, &text) | &all(&prompt, &ids);
        prop_assert_eq!(texts.len(), 1, "{:?}", texts);
        let chats = all(&prompt, &|prompt, output| chat(prompt, output));
        prop_assert!(chats.len() <= 1, "{:?}", chats);
        prop_assert!(chats.len() == 1 || outputs.iter().all(|output| output.trim().is_empty()), "{:?}", outputs);
        if ours.whole(&prompt).unwrap() != ours.whole(&other).unwrap() {
            prop_assert!(texts.is_disjoint(&all(&other, &text)));
            prop_assert!(chats.is_disjoint(&all(&other, &|prompt, output| chat(prompt, output))));
        }
    }
}

/// What a template writes between the question and the content may depend on the content, as Qwen3's empty thinking does.
#[test]
fn what_a_template_puts_before_a_content_makes_no_other_cluster() {
    let template = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}\nA:{% else %}\
        {% if '</think>' not in m.content %} <think>\n\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>{% endif %}{% endfor %}";
    let ours = with_template("bytelevel", template);
    let contents = ["x", "<think>y</think>z"].map(|response| chat("go un", response));
    let samples = contents.clone().map(|content| sample(&ours, row(content), &JOINT));
    assert!(samples.iter().all(|sample| sample.status == Status::Ok), "{samples:?}");
    assert_ne!(samples[0].prompt, samples[1].prompt);
    assert_eq!(samples[0].cluster_id, samples[1].cluster_id);
    assert_eq!(clusters(&ours, vec![contents.to_vec()], Boundary::Joint).len(), 1);
}

/// A prompt's own tokens are counted without a BOS, as text or as ids: the study's rule begins where they end.
#[test]
fn the_prompts_tokens_are_counted_alike_of_text_and_ids() {
    let tokenizer = tokenizer("bos");
    let of_text = text(&tokenizer, "go under", " hello", &JOINT);
    let (context, response) = of_text.ids.split_at(of_text.context().len());
    let of_ids = sample(&tokenizer, ids_row(context, response, None), &JOINT);
    assert_eq!(of_ids.prompt_tokens_alone, of_text.prompt_tokens_alone);
    assert_eq!((of_ids.cluster_id, of_ids.ids), (of_text.cluster_id, of_text.ids));
}

thread_local! {
    static LOADED: [(TextTokenizer, tokenizers::Tokenizer); 5] = TOKENIZERS.map(|name| (tokenizer(name), plain(name)));
}
