//! `tokshift render`: conversations as the texts that a model is given, split into turns.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::args::RenderArgs;
use super::exit::Exit;
use crate::escape;
use crate::score::inputs;
use crate::template::{self, ChatTemplate, DATE, Kwargs, STACK, Turn};

/// Renders every conversation of a file. One that fails is reported and does not stop the others.
pub fn run(args: &RenderArgs) -> Result<Exit> {
    let thread = thread::Builder::new().name("render".to_owned()).stack_size(STACK);
    let joined = thread::scope(|scope| Ok::<_, io::Error>(thread.spawn_scoped(scope, || render(args))?.join()))?;
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn render(args: &RenderArgs) -> Result<Exit> {
    let folder = Path::new(&args.template).parent().unwrap_or(Path::new("."));
    let template = inputs::chat_template(&args.template, folder)?.with_date(args.chat_date.unwrap_or(DATE));
    let template = template.with_kwargs(args.chat_template_kwargs.clone().unwrap_or_default());
    let text = fs::read_to_string(&args.messages).with_context(|| format!("`{}`", args.messages.display()))?;
    let mut exit = Exit::Done;
    let mut out = io::stdout().lock();
    for (number, row) in Deserializer::from_str(&text).into_iter::<&RawValue>().enumerate() {
        let row = row.with_context(|| format!("`{}`, conversation {number}", args.messages.display()))?;
        let rendered = Rendered::new(&template, row.get());
        if rendered.error.is_some() {
            exit = Exit::Failed;
        }
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&rendered)?)?;
        } else {
            rendered.print(number, &mut out)?;
        }
    }
    Ok(exit)
}

/// What became of a conversation.
#[derive(Default, Serialize)]
struct Rendered {
    /// All messages.
    text: Option<String>,
    /// All messages and the generation prompt.
    prompt: Option<String>,
    turns: Vec<Turn>,
    error: Option<String>,
}

impl Rendered {
    /// Of a list of messages, or an object `{messages, tools, chat_template_kwargs}`.
    fn new(template: &ChatTemplate, row: &str) -> Self {
        Self::of(template, row).unwrap_or_else(|error| Self { error: Some(error), ..Self::default() })
    }

    fn of(template: &ChatTemplate, row: &str) -> Result<Self, String> {
        let row = template::json(row)?;
        let given = |name: &str| row.get(name).filter(|value| !value.is_null());
        let tools = given("tools").map(|tools| template::tools(&tools.to_string())).transpose()?.flatten();
        let kwargs = given("chat_template_kwargs").map(|kwargs| Kwargs::parse(&kwargs.to_string())).transpose();
        let kwargs = kwargs.map_err(|e| format!("chat_template_kwargs: {e}"))?.unwrap_or_default();
        let (messages, tools) = (row.get("messages").unwrap_or(&row), tools.as_ref());
        let text = template.render_with(messages, tools, &kwargs, false);
        let prompt = template.render_with(messages, tools, &kwargs, true);
        let turns = template.turns_with(messages, tools, &kwargs, 0);
        let error = [text.as_ref().err(), prompt.as_ref().err(), turns.as_ref().err()].into_iter().flatten().next();
        let error = error.cloned();
        Ok(Self { error, text: text.ok(), prompt: prompt.ok(), turns: turns.unwrap_or_default() })
    }

    fn print(&self, number: usize, out: &mut impl Write) -> io::Result<()> {
        if let Some(error) = &self.error {
            writeln!(out, "conversation {number}: {}\n", escape::visible(error))?;
        }
        for turn in &self.turns {
            writeln!(out, "conversation {number}, turn {}", turn.turn)?;
            for (name, text) in [("prompt", &turn.prompt), ("response", &turn.response)] {
                print_lines(name, text, out)?;
            }
            print_lines("end", turn.end.as_deref().unwrap_or_default(), out)?;
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Lines with their ends shown, under a name in the margin.
fn print_lines(name: &str, text: &str, out: &mut impl Write) -> io::Result<()> {
    let mut margin = name;
    for line in text.split_inclusive('\n') {
        writeln!(out, "{margin:>8} | {}", escape::visible(line))?;
        margin = "";
    }
    Ok(())
}
