//! Prints the events of scoring on stderr, as sentences.
//!
//! Owns the wording of events. It also runs work that can stop cleanly such that a first signal stops it instead of
//! killing the process. Not here: drawing bars and lines ([`Display`]).

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::progress::{self, Display};
use super::response_sets;
use super::signals;
use crate::exact::Done;
use crate::pipeline::Progress;
use crate::sample::Status;
use crate::score::{Compared, Event, Noticed, Outcome, Watch};
use crate::store::ResponseSetKey;

/// A [`Watch`] that prints to stderr.
pub struct Terminal {
    display: RefCell<Display>,
    /// Lines about rows that were already printed; `None` if such lines are not printed at all.
    rows: Option<RefCell<BTreeSet<String>>>,
}

impl Terminal {
    /// Prints the results of runs, but nothing about their rows.
    pub fn new() -> Self {
        Self { display: RefCell::new(Display::of_one()), rows: None }
    }

    /// Also prints what was noticed about each dataset's rows. A line that holds for several models is printed once,
    /// after the first.
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
            Event::Waiting { run, left } => progress::say(&format!(
                "{run}: waiting for {} parts that {} scores",
                left.parts,
                left.holder.as_ref().map_or("another process", |holder| &holder.process)
            )),
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

/// One line with the counts and the speed of a run.
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

/// One line with the size and the duration of an exact comparison.
fn describe_pair(Compared { p, q, done, elapsed }: &Compared) -> String {
    let (seconds, Done { positions, in_f64, kld_of_llama_cpp }) = (elapsed.as_secs_f64(), done);
    let kld = kld_of_llama_cpp.map(|kld| format!("; llama.cpp counts a mean KLD of {kld:.6}")).unwrap_or_default();
    let in_f64 = if *in_f64 == 0 { String::new() } else { format!(", {in_f64} of them entirely in f64") };
    format!(
        "exact: KL({}‖{}) on {} by {}: {positions} positions in {seconds:.1} s{in_f64}{kld}",
        p.model, q.model, p.set.task, p.set.generation_model
    )
}
