//! Progress display: bars on a terminal, otherwise a line every 30 seconds.
//!
//! Owns stderr: every line goes through here, and one that cannot be written does not fail the command. Not here: the
//! counters (`pipeline::progress`).

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::escape::visible;
use crate::pipeline::{Progress, Snapshot};

const REDRAW: Duration = Duration::from_millis(200);
/// Between two lines if stderr is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);
const TEMPLATE: &str = "{prefix:30!} {bar:32} {percent:>3}%  {msg}";

/// Every bar of the process; draws nothing unless stderr is a terminal.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Held while bars are drawn, or a line is written in their place.
static STDERR: Mutex<()> = Mutex::new(());

/// Whether stderr is lines of JSON, so that lines for people are JSON too.
static AS_JSON: AtomicBool = AtomicBool::new(false);

static TOLD_ONCE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Target of the log messages that are lines for people.
pub const TOLD: &str = "tokshift::told";

/// From now on [`say`] logs, and nothing else goes to stderr.
pub fn say_as_json() {
    AS_JSON.store(true, Ordering::Relaxed);
}

/// Prints a line for people, above the bars.
pub fn say(line: &str) {
    if AS_JSON.load(Ordering::Relaxed) {
        // An empty line is for the eye.
        if !line.is_empty() {
            tracing::info!(target: TOLD, "{line}");
        }
    } else {
        write(format!("{}\n", visible(line)).as_bytes());
    }
}

/// As [`say`], for lines that are true of several response sets or models; each is printed once.
pub fn say_once(line: &str) {
    if TOLD_ONCE.lock().unwrap_or_else(PoisonError::into_inner).insert(line.to_owned()) {
        say(line);
    }
}

/// As [`say`], for the error that ends the process.
pub fn say_error(line: &str) {
    if AS_JSON.load(Ordering::Relaxed) {
        tracing::error!(target: TOLD, "{line}");
    } else {
        write(format!("error: {}\n", visible(line)).as_bytes());
    }
}

/// The one way to stderr: bars make room, and come back when they are drawn next. A reader that has seen enough
/// (`2>&1 | head`), a full disk and a terminal that is gone end no work, and change no exit code.
fn write(bytes: &[u8]) {
    let _stderr = stderr();
    // Not `suspend`, which panics where it cannot draw.
    let _ = BARS.clear();
    let _ = std::io::stderr().write_all(bytes);
}

fn stderr() -> MutexGuard<'static, ()> {
    STDERR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stderr for log messages: all of each is taken, as [`say`] takes it.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Progress display of a command that scores.
pub struct Display {
    started: Instant,
    /// Bytes of datasets that all models will score; `None` if there is one run only.
    total: Option<u64>,
    /// Bytes of the runs that ended.
    before: AtomicU64,
}

impl Display {
    /// For runs that are watched one by one.
    pub fn of_one() -> Self {
        Self { started: Instant::now(), total: None, before: AtomicU64::new(0) }
    }

    /// For runs that score so many `bytes` of datasets together: a second line shows how far they all are.
    pub fn of_all(bytes: u64) -> Self {
        Self { total: Some(bytes), ..Self::of_one() }
    }

    /// Runs `work` and shows how far `progress` is meanwhile.
    pub fn watch<T>(&self, name: &str, progress: &Progress, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let (done, wait) = channel::<()>();
        let show = move || {
            if std::io::stderr().is_terminal() && !AS_JSON.load(Ordering::Relaxed) {
                self.draw(name, progress, started, &wait);
            } else {
                self.print_lines(name, progress, started, &wait);
            }
        };
        let result = thread::scope(|scope| {
            scope.spawn(show);
            let result = work();
            drop(done);
            result
        });
        self.before.fetch_add(progress.snapshot().bytes_total, Ordering::Relaxed);
        result
    }

    fn draw(&self, name: &str, progress: &Progress, started: Instant, wait: &Receiver<()>) {
        let bar = |prefix: &str| {
            let bar = BARS.add(ProgressBar::new(1).with_prefix(prefix.to_owned()));
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style);
            }
            bar
        };
        let (current, overall) = (bar(name), self.total.map(|total| (bar("all"), total)));
        let set = |bar: &ProgressBar, done: u64, total: u64, text: String| {
            bar.set_length(total.max(1));
            bar.set_position(done);
            bar.set_message(text);
        };
        while wait.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
            let now = progress.snapshot();
            let left = left_of(&now, started.elapsed());
            let _stderr = stderr();
            let total = now.tokens_total().unwrap_or(1);
            set(&current, now.tokens.min(total), total, format!("{}  {left}", speed(&now, started.elapsed())));
            if let Some((bar, total)) = &overall {
                let done = self.done(&now);
                set(bar, done, *total, self::left(done, *total, self.started.elapsed()));
            }
        }
        current.finish_and_clear();
        if let Some((bar, _)) = overall {
            bar.finish_and_clear();
        }
    }

    fn print_lines(&self, name: &str, progress: &Progress, started: Instant, wait: &Receiver<()>) {
        while wait.recv_timeout(LINE_EVERY) == Err(RecvTimeoutError::Timeout) {
            let now = progress.snapshot();
            let all = self.total.map_or_else(String::new, |total| {
                let done = self.done(&now);
                format!("; all: {}%, {}", percent(done, total), left(done, total, self.started.elapsed()))
            });
            say(&format!("{name}: {}{all}", line(&now, started.elapsed())));
        }
    }

    fn done(&self, now: &Snapshot) -> u64 {
        self.before.load(Ordering::Relaxed) + now.bytes_done()
    }
}

/// Share, speed and time left of one run.
fn line(now: &Snapshot, elapsed: Duration) -> String {
    let (done, left) = (now.tokens, left_of(now, elapsed));
    let of = match now.tokens_total() {
        None => format!("{done} tokens"),
        Some(total) => {
            let about = if now.is_estimated() { "about " } else { "" };
            format!("{}%, {done} of {about}{total} tokens", percent(done.min(total), total))
        }
    };
    let (samples, all) = (now.samples_done, now.samples_total);
    format!("{of} ({samples} of {all} samples), {}, {left}", speed(now, elapsed))
}

/// Time left by the tokens of the run.
fn left_of(now: &Snapshot, elapsed: Duration) -> String {
    now.tokens_total().map_or_else(|| left(0, 1, elapsed), |total| left(now.tokens, total, elapsed))
}

/// Response tokens, of which each is scored once: of all tokens, those that samples share are computed only once.
fn speed(now: &Snapshot, elapsed: Duration) -> String {
    format!("{} response tok/s", rate(now.response_tokens, elapsed))
}

fn percent(done: u64, total: u64) -> u64 {
    100 * done / total.max(1)
}

/// Time left if all goes on as so far.
fn left(done: u64, total: u64, elapsed: Duration) -> String {
    if done == 0 {
        return "time left unknown".to_owned();
    }
    let seconds = elapsed.as_secs_f64() * total.saturating_sub(done) as f64 / done as f64;
    format!("{} left", duration(seconds))
}

/// Bytes with three digits or so.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Seconds, minutes or hours, whole ones of the largest two.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// Tokens per second, rounded down.
pub fn rate(tokens: u64, elapsed: Duration) -> u64 {
    (tokens as f64 / elapsed.as_secs_f64().max(1e-3)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_is_done() {
        assert_eq!(left(0, 100, Duration::from_secs(9)), "time left unknown");
        assert_eq!(left(25, 100, Duration::from_secs(30)), "1 min 30 s left");
        assert_eq!(left(120, 100, Duration::from_secs(30)), "0 s left");
        assert_eq!(duration(7384.4), "2 h 3 min");
        let progress = Progress::default();
        let expected = "0 tokens (0 of 0 samples), 0 response tok/s, time left unknown";
        assert_eq!(line(&progress.snapshot(), Duration::from_secs(1)), expected);
        let half = Snapshot { bytes_total: 400, bytes_read: 100, tokens_read: 50, tokens: 40, ..progress.snapshot() };
        let said = line(&half, Duration::from_secs(10));
        assert!(
            said.starts_with("20%, 40 of about 200 tokens (0 of 0 samples), ") && said.ends_with("40 s left"),
            "{said}"
        );
        assert_eq!(half.bytes_done(), 80);
        let read = Snapshot { bytes_read: 400, tokens_read: 160, ..half };
        assert!(line(&read, Duration::from_secs(10)).starts_with("25%, 40 of 160 tokens ("));
    }
}
