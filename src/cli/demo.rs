//! `tokshift demo`: scores and compares the models that the binary contains.
//!
//! Owns the embedded files, and the commands that it shows as a user would type them. `scripts/train_demo.py` trains
//! the models; nothing is downloaded.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;

use super::args::{DemoArgs, KlArgs, ScoreArgs};
use super::exit::Exit;
use super::{kl, progress, score, screen};
use crate::tokenize::TextTokenizer;
use crate::{report, shift, store};

/// Files that the binary carries, by their paths in the demo's directory.
const FILES: [(&str, &[u8]); 16] = [
    ("models/base/config.json", include_bytes!("../../assets/demo/base/config.json")),
    ("models/base/model.safetensors", include_bytes!("../../assets/demo/base/model.safetensors")),
    ("models/sft/config.json", include_bytes!("../../assets/demo/sft/config.json")),
    ("models/sft/model.safetensors", include_bytes!("../../assets/demo/sft/model.safetensors")),
    ("models/rl/config.json", include_bytes!("../../assets/demo/rl/config.json")),
    ("models/rl/model.safetensors", include_bytes!("../../assets/demo/rl/model.safetensors")),
    ("models/tokenizer.json", TOKENIZER),
    ("models/generation_config.json", include_bytes!("../../assets/demo/generation_config.json")),
    ("models/base/tokenizer.json", TOKENIZER),
    ("models/rl/tokenizer.json", TOKENIZER),
    ("data/base_arithmetic.jsonl", include_bytes!("../../assets/demo/base_arithmetic.jsonl")),
    ("data/sft_arithmetic.jsonl", include_bytes!("../../assets/demo/sft_arithmetic.jsonl")),
    ("data/rl_arithmetic.jsonl", include_bytes!("../../assets/demo/rl_arithmetic.jsonl")),
    ("data/sft_chat.jsonl", include_bytes!("../../assets/demo/sft_chat.jsonl")),
    ("data/rl_chat.jsonl", include_bytes!("../../assets/demo/rl_chat.jsonl")),
    ("data/rl_greedy.jsonl", include_bytes!("../../assets/demo/rl_greedy.jsonl")),
];
const TOKENIZER: &[u8] = include_bytes!("../../assets/demo/tokenizer.json");

const STORY: &str = "\
Three tiny models: `base`, trained on a little of everything; `sft`, the base tuned on worked dialogues; `rl`, the base
rewarded for right answers alone. Each wrote answers of its own; now each reads all of them.";

/// Writes the embedded files, scores, compares.
pub fn run(args: &DemoArgs) -> Result<Exit> {
    let started = Instant::now();
    unpack(&args.output_dir)?;
    print(STORY);
    let path = |relative: &str| args.output_dir.join(relative).display().to_string();
    let data = FILES.iter().filter(|(file, _)| file.starts_with("data/")).map(|(file, _)| path(file));
    let models = ["rl", "sft", "base"].map(|name| format!("{name}={}", path(&format!("models/{name}"))));
    let out = path("out");
    score_as_typed(&[
        "--dataset",
        &data.collect::<Vec<_>>().join(","),
        "--models",
        &models.join(","),
        "--tokenizer",
        &path("models/tokenizer.json"),
        "--end",
        "auto",
        "--keep-fields",
        "kind",
        "--keep-hidden",
        "--output-dir",
        &out,
    ])?;
    let options = [out.as_str(), "--exact", "--models", &models.join(",")];
    print(&typed("kl", &options));
    kl::exact(&KlArgs::try_parse_from(["kl"].iter().chain(&options))?, &shift::Options::default())?;
    let page = args.output_dir.join("report.html");
    write_report(args, Path::new(&out), &page)?;
    let seconds = started.elapsed().as_secs_f64();
    print(&format!(
        "Done in {seconds:.0} s. Every measure of one pair, with quantiles and slices:\n$ tokshift kl {out} --pair rl,base --quantiles --slices\n\
         Every token of every response, for a browser: {}",
        page.display()
    ));
    Ok(Exit::Done)
}

/// Prints the overview, and writes the page that has every token.
fn write_report(args: &DemoArgs, out: &Path, page: &Path) -> Result<()> {
    let tokenizer = TextTokenizer::from_file(&args.output_dir.join("models/tokenizer.json"))?;
    let shift = shift::Options { slices: true, ..shift::Options::default() };
    let options = report::Options { shift, tokenizer: Some(tokenizer), ..report::Options::default() };
    let mut contents = report::Contents::new(out, &options)?;
    if let Some(comparison) = contents.comparison.get() {
        kl::print(&shift::overview(comparison, screen::width()))?;
    }
    report::file(&mut contents, &store::cells(out)?, page, None)?;
    Ok(())
}

/// A command as it would be typed, one option a line where it is long.
fn typed(command: &str, options: &[&str]) -> String {
    let mut text = format!("$ tokshift {command}");
    for option in options {
        let separator = if option.starts_with("--") { " \\\n      " } else { " " };
        text += separator;
        text += &option.replace(',', ",\\\n");
    }
    text
}

/// Prints a paragraph to stderr.
fn print(text: &str) {
    ["", text, ""].iter().flat_map(|text| text.split('\n')).for_each(progress::say);
}

/// Files that exist with this content stay, so that a second demo continues the first.
fn unpack(directory: &Path) -> Result<()> {
    for (name, content) in FILES {
        let path = directory.join(name);
        if fs::read(&path).is_ok_and(|found| found == content) {
            continue;
        }
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
        fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

/// Shows `tokshift score` as it would be typed, and runs it.
fn score_as_typed(options: &[&str]) -> Result<()> {
    print(&typed("score", options));
    score::scored(&ScoreArgs::try_parse_from(std::iter::once("score").chain(options.iter().copied()))?)?;
    Ok(())
}
