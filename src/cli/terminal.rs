//! What the library tells of scoring, for a person on stderr.
//!
//! Owns the words for events, and that a signal ends what can be ended in good order. Not here: bars and lines
//! ([`Display`] has them).

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::progress::{self, Display};
use super::response_sets;
use super::signals;
use crate::pipeline::Progress;
use crate::sample::Status;
use crate::score::{Compared, Event, Noticed, Outcome, Watch};
use crate::store::ResponseSetKey;

/// Stderr as [`Watch`].
pub struct Terminal {
    display: RefCell<Display>,
    /// Lines about rows that were said, if any are.
    rows: Option<RefCell<BTreeSet<String>>>,
}

impl Terminal {
    /// Says what becomes of runs, and nothing of their rows.
    pub fn new() -> Self {
        Self { display: RefCell::new(Display::of_one()), rows: None }
    }

    /// Says too what was noticed of each dataset's rows, with the first model that it is true of.
    pub fn with_rows(self) -> Self {
        Self { rows: Some(RefCell::default()), ..self }
    }

    fn print_rows(&self, noticed: &[Noticed]) {
        let Some(printed) = &self.rows else { return };
        for Noticed { set: ResponseSetKey { generation_model, task }, audit } in noticed {
            for line in audit.lines() {
                let line = format!("  {generation_model}_{task}: {line}");
                if printed.borrow_mut().insert(line.clone()) {
                    progress::say(&line);
                }
            }
        }
    }
}

impl Watch for Terminal {
    fn event(&self, event: &Event) {
        match event {
            Event::ResponseSets(sets) => response_sets::print(sets, self.rows.is_some()),
            Event::Replaced(cell) => progress::say(&format!(
                "{} on {} by {}: removed what was scored with other files or options",
                cell.model, cell.set.task, cell.set.generation_model
            )),
            Event::Warning(text) => progress::say_once(&format!("warning: {text}")),
            Event::Planned { bytes } => *self.display.borrow_mut() = Display::of_all(*bytes),
            Event::Interrupted { run, parts, of, tokens, lost } => {
                let lost = if *lost == 0 {
                    String::new()
                } else {
                    format!("; {lost} tokens of unfinished parts are computed again")
                };
                progress::say(&format!(
                    "{run}: interrupted; kept {parts} of {of} parts ({tokens} tokens), and the same command continues \
                     after them{lost}"
                ));
            }
            Event::KeptWithoutModel { model, task, why } => progress::say(&format!(
                "{model} on {task}: the model cannot be used ({why}); its earlier, complete scores are kept"
            )),
            Event::Failed { experiment, task, model, why } => {
                progress::say(&format!("{model} on {task} of {experiment}: failed: {why}"));
            }
            Event::HiddenLost { model, task, parts, tokens } => progress::say(&format!(
                "{model} on {task}: the hidden states of {parts} parts were deleted; delete these parts from `{}` too, and the \
                 same command recreates both",
                tokens.display()
            )),
            Event::AlreadyScored { run } => progress::say(&format!("{run}: already scored")),
            Event::Scored { run, outcome } => {
                progress::say(&format!("{run}: {}", describe(outcome)));
                self.print_rows(&outcome.noticed);
            }
            Event::Exported(path) => progress::say(&format!("wrote {}", path.display())),
            Event::Compared(compared) => progress::say(&describe_pair(compared)),
        }
    }

    fn watch(&self, name: &str, progress: Option<&Progress>, work: &mut dyn FnMut()) {
        match progress {
            Some(progress) => self.display.borrow().watch(name, progress, || signals::heed(work)),
            None => signals::heed(work),
        }
    }
}

/// A line about a run.
fn describe(Outcome { counts, elapsed, .. }: &Outcome) -> String {
    let by_status = Status::ALL.iter().map(|&status| (counts.samples_with(status), status.as_str()));
    let by_status: Vec<String> = by_status.filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
    let hidden = match counts.hidden_bytes {
        0 => String::new(),
        bytes => format!("; {} of hidden states", progress::size(bytes)),
    };
    format!(
        "{} samples; {} response tokens; computed {} of {} tokens in {:.1} s ({} tok/s){hidden}",
        by_status.join(", "),
        counts.response_tokens,
        counts.computed,
        counts.tokens,
        elapsed.as_secs_f64(),
        progress::rate(counts.computed, *elapsed)
    )
}

/// A line about an exact comparison.
fn describe_pair(Compared { p, q, positions, in_f64, elapsed }: &Compared) -> String {
    let seconds = elapsed.as_secs_f64();
    let in_f64 = if *in_f64 == 0 { String::new() } else { format!(", {in_f64} of them entirely in f64") };
    format!(
        "exact: KL({}‖{}) on {} by {}: {positions} positions in {seconds:.1} s{in_f64}",
        p.model, q.model, p.set.task, p.set.generation_model
    )
}
