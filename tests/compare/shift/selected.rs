//! Whether k1 and k3 estimate KL(P‖Q) on some of P's samples: what chose them.

use tokshift::shift::{self, Comparison, KlEstimate, Options};

use super::fixture::{Output, Sample, Three, drawn, scored};

const P: Three = [0.5, 0.25, 0.25];
const Q: Three = [0.5, 0.1, 0.4];

/// 160 samples of P, two a prompt, after `change` of each.
fn compared(change: impl Fn(usize, &mut Sample)) -> Comparison {
    let (output, texts) = (Output::new(), drawn(160, &P));
    for (name, model) in [("base", &P), ("tuned", &Q)] {
        let mut samples = scored(&texts, model);
        for (place, sample) in samples.iter_mut().enumerate() {
            sample.cluster = format!("prompt {}", place / 2);
            sample.response = Some("ab".repeat(sample.tokens.len()));
            sample.tokens.iter_mut().for_each(|token| token.text = Some("ab".to_owned()));
            change(place, sample);
        }
        output.model(name, &samples);
    }
    let comparison = output.compare_with(&Options { slices: true, ..Options::default() }).unwrap();
    assert_eq!(comparison.pairs[0].kl_estimate, KlEstimate::Yes);
    comparison
}

fn group(sample: &mut Sample, is_one: bool) {
    sample.group = Some(if is_one { "1" } else { "0" }.to_owned());
}

fn estimates(comparison: &Comparison, by: &str) -> Vec<KlEstimate> {
    let of_it = comparison.pairs[0].slices.iter().filter(|slice| slice.by == by);
    of_it.map(|slice| slice.kl_estimate.clone()).collect()
}

#[test]
fn a_selection_is_a_sample_of_no_model() {
    let comparison = compared(|place, sample| group(sample, place % 2 == 0));
    let answers = |by: &str| -> Vec<&str> { estimates(&comparison, by).iter().map(KlEstimate::answer).collect() };
    assert_eq!(answers("field.group"), ["no", "no"]);
    assert!(answers("position").iter().all(|answer| *answer == "yes"));
    // All of the text is chosen by nothing.
    assert_eq!(answers("kind"), ["yes"]);
    assert_eq!(estimates(&compared(|_, sample| group(sample, true)), "field.group"), [KlEstimate::Yes]);
    let table = shift::table(&comparison, 200);
    assert!(
        table.contains("* not a KL estimate: field.group chose the responses: selected text is not P's\n"),
        "{table}"
    );
    let row = table.lines().find(|line| line.starts_with("field.group=1")).unwrap();
    assert_eq!(row.matches('*').count(), 2, "{row}");
}

/// One sample among those of 80 prompts that has another value than the others of its prompt is enough.
#[test]
fn samples_that_their_prompts_chose_are_ps() {
    let by_prompt = compared(|place, sample| group(sample, place / 2 % 2 == 0));
    assert_eq!(estimates(&by_prompt, "field.group"), [KlEstimate::Yes, KlEstimate::Yes]);
    let but_one = compared(|place, sample| group(sample, place / 2 % 2 == 0 || place == 7));
    assert!(estimates(&but_one, "field.group").iter().all(|estimate| estimate.answer() == "no"));
}

/// Samples of one row have one value whatever chose them, and so has a prompt's only row.
#[test]
fn what_chose_the_only_row_of_a_prompt_is_unknown() {
    let alone = compared(|place, sample| {
        sample.cluster = format!("prompt {place}");
        group(sample, place % 2 == 0);
    });
    let of_one_row = compared(|place, sample| {
        sample.row = place as u32 / 2;
        group(sample, place / 2 % 2 == 0);
    });
    for comparison in [alone, of_one_row] {
        let estimates = estimates(&comparison, "field.group");
        assert_eq!(estimates.len(), 2);
        let why = "below 30 clusters of several rows with this value it is unknown whether field.group is of the prompt or of what was sampled";
        assert!(estimates.iter().all(|of| (of.answer(), of.reason()) == ("unknown", why)), "{estimates:?}");
    }
}

/// A field that is the same for all samples of a prompt and was computed from them, as a rate of success is: what it chose
/// shows.
#[test]
fn prompts_that_were_chosen_by_their_samples_contradict() {
    let texts = drawn(160, &P);
    let likely = |place: usize| texts[place].iter().filter(|id| **id == 0).count();
    let comparison = compared(|place, sample| {
        let first = place / 2 * 2;
        group(sample, likely(first) + likely(first + 1) > 20);
    });
    let estimates = estimates(&comparison, "field.group");
    assert_eq!(estimates.len(), 2);
    for (estimate, how) in estimates.iter().zip(["flatter", "sharper"]) {
        assert_eq!(estimate.answer(), "no");
        assert!(estimate.reason().starts_with(&format!("the text is {how}")), "{estimate:?}");
    }
}

/// Of 18 prompts one row was left, for what P sampled there, and the others have all of theirs: those say nothing about it.
#[test]
fn rows_of_one_value_tell_nothing_of_another() {
    let chosen = compared(|place, sample| {
        let is_alone = place / 2 < 18;
        if is_alone && place % 2 == 1 {
            // A prompt of its own, so that the other one has one row.
            sample.cluster = format!("prompt of {place}");
        }
        group(sample, !is_alone);
    });
    let [alone, several] = &estimates(&chosen, "field.group")[..] else { panic!() };
    assert!(alone.answer() == "unknown" && alone.reason().contains("30 clusters of several rows with this value"));
    assert_eq!(*several, KlEstimate::Yes);
    // Enough prompts in all, too few of this value to look for a contradiction.
    let few = compared(|place, sample| group(sample, place / 2 >= 20));
    let answers: Vec<_> = estimates(&few, "field.group").iter().map(KlEstimate::answer).collect();
    assert_eq!(answers, ["unknown", "yes"]);
}

/// A value whose samples contradict P was computed from them, and so were the field's other values.
#[test]
fn a_value_beside_one_that_contradicts_is_not_known_to_be_ps() {
    let texts = drawn(160, &P);
    let likely = |place: usize| texts[place].iter().filter(|id| **id == 0).count();
    let both = |place: usize| likely(place / 2 * 2) + likely(place / 2 * 2 + 1);
    let mut prompts: Vec<usize> = (0..80).collect();
    prompts.sort_by_key(|prompt| both(prompt * 2));
    // The sharpest prompts and a few others are one value, those in the middle another: alone, it contradicts nothing.
    let comparison = compared(|place, sample| {
        let rank = prompts.iter().position(|prompt| *prompt == place / 2).unwrap();
        let value = match rank {
            20..25 | 55.. => "x",
            25..55 => "y",
            _ => "z",
        };
        sample.group = Some(value.to_owned());
    });
    let estimates = estimates(&comparison, "field.group");
    let answers: Vec<_> = estimates.iter().map(KlEstimate::answer).collect();
    assert_eq!(answers, ["no", "unknown", "unknown"]);
    let why = "field.group=x is none, and what chose its samples chose these: the text is sharper";
    assert!(estimates[1].reason().starts_with(why), "{}", estimates[1].reason());
}
