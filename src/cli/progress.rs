//! The progress bar of a run: share of the data, tokens a second, time left.
//!
//! Owns drawing. Refuses to draw where nobody looks: not a terminal, no bar.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::pipeline::Progress;

const REDRAW: Duration = Duration::from_millis(200);
const TEMPLATE: &str = "{prefix} {bar:32} {percent:>3}%  {msg}  {eta} left";

/// Runs `work` with a bar on stderr that follows `progress`.
pub fn watch<T>(name: &str, progress: &Progress, work: impl FnOnce() -> T) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    let bar = ProgressBar::new(1).with_prefix(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    let (done, wait) = channel::<()>();
    let started = Instant::now();
    thread::scope(|scope| {
        let bar = &bar;
        scope.spawn(move || {
            while wait.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
                draw(bar, progress, started.elapsed());
            }
        });
        let result = work();
        drop(done);
        bar.finish_and_clear();
        result
    })
}

fn draw(bar: &ProgressBar, progress: &Progress, elapsed: Duration) {
    let now = progress.snapshot();
    bar.set_length(now.bytes_total.max(1));
    bar.set_position(now.bytes_done);
    bar.set_message(format!("{} tok/s", rate(now.tokens, elapsed)));
}

/// Tokens a second, whole.
pub fn rate(tokens: u64, elapsed: Duration) -> u64 {
    (tokens as f64 / elapsed.as_secs_f64().max(1e-3)) as u64
}
