//! What `kl` prints: on screens of 80, 120 and 200 columns, and as tables of other documents.

use std::collections::BTreeMap;

use tokshift::shift::{
    self, Comparison, Estimate, ExactFigures, KlEstimate, MovedTop, Overall, OverallMeasure, Pair, Partial, Pick,
    Quantile, Quantiles, TableFormat, TableRequest,
};
use unicode_width::UnicodeWidthStr;

use super::fixture::{Output, samples};

const TASKS: [&str; 5] = ["arithmetic", "coqa", "ifeval", "math", "翻訳"];

/// Around a value, with a tenth of it as the standard error.
fn estimate(value: f64, clusters: u64) -> Estimate {
    Estimate::around(value, Some(value / 10.0), 2.0, clusters, 1000)
}

/// Two models on one task with made-up statistics: the exact KL, or k1 and bounds.
fn pair(of: &Pair, task: &str, q: &str, kl: f64, is_exact: bool) -> Pair {
    let clusters = if task == "coqa" { 24 } else { 120 };
    let mut pair = Pair { task: task.to_owned(), p: "rl".into(), q: q.to_owned(), clusters, ..of.clone() };
    (pair.generation_model, pair.notes, pair.kl_estimate) = ("rl".to_owned(), Vec::new(), KlEstimate::Yes);
    pair.perplexity_ratio = Some(estimate(1.0 + kl, clusters));
    let mut set = |name: &str, value: f64| {
        let known = pair.measures.iter_mut().find(|measure| measure.name == name);
        let place = if let Some(place) = known {
            place
        } else {
            let like = pair.measures[0].clone();
            pair.measures.insert(0, shift::Measure { name: name.to_owned(), ..like });
            &mut pair.measures[0]
        };
        place.token_mean = Some(estimate(value, clusters));
    };
    set("kl_k1", kl * 1.01);
    set("kl_lower", kl * 0.97);
    set("kl_upper", kl * 1.1);
    set("same_top", 1.0 - kl / 2.0);
    set("shift_class.shifted", kl / 100.0);
    if is_exact {
        set("kl", kl);
        let moved = MovedTop {
            from: Some(" I".into()),
            to: Some("Step".into()),
            places: 216,
            kl: 439.0,
            share_of_kl: 0.56,
            ..MovedTop::default()
        };
        pair.exact = Some(ExactFigures {
            temperature: 1.0,
            most_shifted: Vec::new(),
            most_kl: Vec::new(),
            most_moved: vec![moved.clone(), MovedTop { to: None, to_id: 7, places: 3, share_of_kl: 0.0002, ..moved }],
            stop: None,
        });
        let quantile =
            |(name, factor): (&str, f64)| Quantile { name: name.into(), estimate: estimate(kl * factor, clusters) };
        let quantiles = [("q0.99", 12.0), ("q0.999", 30.0)].map(quantile).to_vec();
        pair.quantiles = vec![Quantiles { measure: "kl".into(), unit: "nats/token".into(), exact: true, quantiles }];
    }
    pair
}

fn pooled(pairs: &[Pair], q: &str) -> Overall {
    let of: Vec<&Pair> = pairs.iter().filter(|pair| pair.q == q).collect();
    let measures = of[0].measures.iter().filter_map(|measure| {
        let value = measure.token_mean?.value;
        let mean = Some(estimate(value, 504));
        Some(OverallMeasure {
            name: measure.name.clone(),
            unit: measure.unit.clone(),
            token_mean: mean,
            sample_mean: mean,
            mean_of_token_means: mean,
            mean_of_sample_means: mean,
        })
    });
    Overall {
        generation_model: "rl".into(),
        p: "rl".into(),
        q: q.into(),
        temperature: of[0].exact.as_ref().map(|exact| exact.temperature),
        tasks: of.iter().map(|pair| pair.task.clone()).collect(),
        partial_tasks: Vec::new(),
        missing_tasks: Vec::new(),
        kl_estimate: KlEstimate::Yes,
        measures: measures.collect(),
    }
}

/// Five tasks and three models.
fn study(is_exact: bool) -> Comparison {
    let output = Output::new();
    output.model("base", &samples(&[&[-1.0], &[-2.0]]));
    output.model("tuned", &samples(&[&[-1.5], &[-2.25]]));
    let of = output.pair();
    let of_task = |(i, task): (usize, &&str)| {
        let kl = 0.0604 * (i + 1) as f64;
        [("base", kl), ("sft", kl / 3.0)].map(|(q, kl)| pair(&of, task, q, kl, is_exact))
    };
    let pairs: Vec<Pair> = TASKS.iter().enumerate().flat_map(of_task).collect();
    let overall = ["base", "sft"].map(|q| pooled(&pairs, q)).to_vec();
    Comparison { pairs, overall, ..Comparison::default() }
}

/// The same with all that qualifies numbers, and with names as runs have them.
fn doubtful() -> Comparison {
    let mut comparison = study(false);
    let long = |name: &str| format!("Qwen3-14B-GRPO-lr1e-6-kl0.001-seed42-{name}");
    for pair in &mut comparison.pairs {
        (pair.q, pair.task) = (long(&pair.q), pair.task.clone());
    }
    for overall in &mut comparison.overall {
        overall.q = long(&overall.q);
        overall.partial_tasks = vec!["ifeval".to_owned()];
        overall.kl_estimate =
            KlEstimate::No { reason: "math: the text is flatter (−) than P at temperature 1".into() };
    }
    comparison.pairs[2].kl_estimate =
        KlEstimate::Unknown { reason: "of 24 clusters, below 30, it cannot be known".into() };
    comparison.pairs[6].kl_estimate =
        KlEstimate::No { reason: "the text is flatter (−) than P at temperature 1".into() };
    comparison.pairs[4].partial = Some(Partial { compared: 3, parts: 17, missing_p: vec![], missing_q: vec![4, 5] });
    comparison.pairs[8].notes = vec!["P was scored with the summation order fma, Q with portable".to_owned()];
    let measures = &mut comparison.pairs[9].measures;
    let upper = measures.iter_mut().find(|measure| measure.name == "kl_upper").unwrap();
    upper.token_mean = Some(estimate(5.58, 120));
    comparison
}

fn assert_fits(text: &str, width: usize) {
    let widest = text.lines().max_by_key(|line| line.width()).unwrap();
    assert!(widest.width() <= width, "{} of {width} columns: {widest}", widest.width());
}

#[test]
fn an_overview_fits_screens_of_any_width() {
    for (name, comparison) in [("exact", study(true)), ("k1", study(false)), ("doubtful", doubtful())] {
        for width in [80, 120, 200] {
            let text = shift::overview(&comparison, width);
            assert_fits(&text, width);
            insta::assert_snapshot!(format!("overview_{name}_{width}"), text);
        }
    }
}

/// Every measure of one pair, and what stands below several.
#[test]
fn all_measures_fit_screens_of_any_width() {
    for comparison in [study(true), doubtful()] {
        for width in [80, 120, 200] {
            let text = shift::table(&comparison, width);
            assert_fits(&text, width);
        }
    }
}

/// Where no table fits, every row stands by itself and nothing is left out.
#[test]
fn a_narrow_screen_has_a_line_for_each_cell() {
    let comparison = study(false);
    let text = shift::overview(&comparison, 40);
    assert_fits(&text, 40);
    for line in
        ["task: arithmetic", "KL(P‖Q) by k1: 0.0610 ± 0.0061", "bounds on KL: 0.0585 to 0.0665", "clusters: 24!"]
    {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
    assert_fits(&shift::overview(&study(true), 60), 60);
    assert!(shift::overview(&study(true), 60).starts_with("task "));
}

/// Names that a document or a spreadsheet would act on.
#[test]
fn hostile_names_do_nothing_in_other_documents() {
    let mut comparison = study(true);
    for pair in &mut comparison.pairs {
        (pair.q, pair.task) = ("=cmd|' /C calc'!A0".into(), "[x](y)\u{1b}[2J<b>$1$`c`\nd".into());
    }
    let csv = exported(&comparison, TableFormat::Csv, &["kl"], false);
    assert!(csv.contains(",'=cmd|' /C calc'!A0,") && !csv.contains(['\u{1b}']), "{csv}");
    let negative = exported(&comparison, TableFormat::Csv, &["delta_logprob"], false);
    assert!(!negative.contains("'-"), "numbers stay numbers: {negative}");
    let statistics = shift::statistics_file(&comparison, shift::FileFormat::Csv).unwrap();
    let statistics = String::from_utf8(statistics).unwrap();
    assert!(statistics.contains(",'=cmd|' /C calc'!A0,") && !statistics.contains('\u{1b}'), "{statistics}");
    let markdown = exported(&comparison, TableFormat::Markdown, &["kl"], false);
    let row = markdown.lines().nth(2).unwrap();
    assert!(row.starts_with(r"| \[x\](y)") && row.contains(r"\<b\>\$1\$\`c\`"), "{row}");
    let latex = exported(&comparison, TableFormat::Latex, &["kl"], false);
    assert!(latex.lines().any(|line| line.starts_with("{}[x]")), "{latex}");
}

fn exported(comparison: &Comparison, format: TableFormat, columns: &[&str], is_card: bool) -> String {
    let columns = columns.iter().map(|name| Pick::of_name(name).unwrap()).collect();
    let sizes = BTreeMap::from([("base".to_owned(), 29_540_067_968), ("sft".to_owned(), 144_811_232)]);
    shift::export(comparison, &TableRequest { format, columns, is_card, sizes: &sizes })
}

#[test]
fn tables_go_into_other_documents() {
    let formats = [("markdown", TableFormat::Markdown), ("latex", TableFormat::Latex), ("csv", TableFormat::Csv)];
    for (name, format) in formats {
        insta::assert_snapshot!(format!("table_{name}"), exported(&doubtful(), format, &[], false));
    }
    let columns = ["kl", "kl.q0.99", "same_top", "ppl_ratio", "clusters", "size", "samples", "tokens", "bounds"];
    for (name, format) in [("terminal", TableFormat::Terminal(200)), ("picked_csv", TableFormat::Csv)] {
        insta::assert_snapshot!(format!("table_{name}"), exported(&study(true), format, &columns, false));
    }
    insta::assert_snapshot!("table_card", exported(&study(true), TableFormat::Markdown, &[], true));
}

/// A line of CSV has as many cells as the head.
#[test]
fn csv_is_rectangular() {
    let columns = ["best_kl", "bounds", "kl.q0.99", "size", "is_cut", "samples", "kl_k1.response_mean"];
    for comparison in [study(true), study(false), doubtful()] {
        let text = exported(&comparison, TableFormat::Csv, &columns, false);
        let cells: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert!(cells.iter().all(|n| *n == cells[0]), "{text}");
    }
}
