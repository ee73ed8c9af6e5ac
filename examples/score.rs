//! Scores a file of rows with two models and prints how far apart they are: what `tokshift score --exact` and
//! `tokshift kl` do, through the library alone.
//!
//! ```console
//! $ cargo run --release --example score                       # the test fixtures
//! $ cargo run --release --example score -- P Q ROWS.jsonl     # two model directories, and rows that P wrote
//! ```

use std::path::Path;
use std::process::ExitCode;

use tokshift::score::{Log, Request, score};
use tokshift::stop::Stop;
use tokshift::{Error, Result, shift};

const P: &str = "tests/fixtures/models/qwen3-tied";
const Q: &str = "tests/fixtures/models/qwen3-shifted";
const ROWS: &str = "tests/fixtures/rows/tiny-rl_demo.jsonl";

fn main() -> ExitCode {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let [p, q, rows] = match &typed[..] {
        [] => [P, Q, ROWS],
        [p, q, rows] => [p, q, rows].map(String::as_str),
        _ => {
            eprintln!("give two model directories and a file of rows, or nothing for the test fixtures");
            return ExitCode::from(2);
        }
    };
    let output = std::env::temp_dir().join(format!("tokshift-example-{}", std::process::id()));
    let compared = mean_kl(p, q, Path::new(rows), &output);
    // The tables could be kept: the same request would then continue there.
    let removed = std::fs::remove_dir_all(&output);
    match compared {
        Ok(kl) => println!("KL(P‖Q) = {kl:.6} nats a token, P = {p}, Q = {q}"),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    if removed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Mean over the response tokens of KL(P‖Q) in nats, from the full distributions of both models.
///
/// # Errors
/// What [`score`] and [`shift::compare`] reject; models of which no token was scored by both.
pub fn mean_kl(p: &str, q: &str, rows: &Path, output: &Path) -> Result<f64> {
    let models = vec![format!("p={p}"), format!("q={q}")];
    let request = Request {
        generation_model: Some("p".to_owned()),
        task: Some("example".to_owned()),
        exact: true,
        ..Request::new(vec![rows.to_owned()], models, output)
    };
    // `Log` takes what is worth saying to `tracing`; a program with a window implements `Watch` itself.
    score(&request, &Log, &Stop::never())?;
    let comparison = shift::compare(output, &shift::Options::default())?;
    let measures = comparison.pairs.iter().flat_map(|pair| &pair.measures);
    let kl = measures.filter(|measure| measure.name == "kl").find_map(|measure| measure.token_mean);
    kl.map(|kl| kl.value).ok_or_else(|| Error::usage("the models have no scored token in common"))
}
