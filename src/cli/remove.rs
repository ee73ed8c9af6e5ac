//! `tokshift remove`: deletes what a model has scored, response set by response set.
//!
//! Owns which cells are meant. Not here: the order of deletion (`store`).

use anyhow::Result;

use super::args::RemoveArgs;
use super::exit::Exit;
use super::kl::print;
use super::progress::size;
use crate::error::Error;
use crate::escape::visible;
use crate::store::{self, Cell, Removed, Store};

/// Removes every cell that the options name.
pub fn run(args: &RemoveArgs) -> Result<Exit> {
    let RemoveArgs { output_dir, model, task, generation_model, dry_run } = args;
    let (found, damaged) = store::cells_to_continue(output_dir)?;
    let cells = found.into_iter().map(|found| found.cell).chain(damaged.into_iter().map(|damaged| damaged.cell));
    let cells: Vec<Cell> = cells.collect();
    let is_meant = |cell: &&Cell| {
        let fits = |wanted: &Option<String>, name: &String| wanted.as_ref().is_none_or(|wanted| wanted == name);
        cell.model == *model && fits(task, &cell.set.task) && fits(generation_model, &cell.set.generation_model)
    };
    let meant: Vec<&Cell> = cells.iter().filter(is_meant).collect();
    if meant.is_empty() {
        return Err(nothing(args, &cells).into());
    }
    if *dry_run {
        let lines = meant.iter().map(|cell| visible(&format!("would remove {}", name(cell))) + "\n");
        return print(&lines.collect::<String>());
    }
    let store = Store::open(output_dir)?;
    let removed = store.remove(&meant)?;
    for (cell, Removed { files, bytes }) in meant.into_iter().zip(removed) {
        print(&(visible(&format!("removed {}: {files} files, {}", name(cell), size(bytes))) + "\n"))?;
    }
    Ok(Exit::Done)
}

fn name(Cell { set, model }: &Cell) -> String {
    format!("{model} on {} by {}", set.task, set.generation_model)
}

/// No cell is meant: what there is instead.
fn nothing(args: &RemoveArgs, cells: &[Cell]) -> Error {
    let of_model = cells.iter().filter(|cell| cell.model == args.model);
    let known: Vec<String> = of_model.map(|cell| cell.set.to_string()).collect();
    if !known.is_empty() {
        return Error::usage(format!("`{}` has scored no such responses, only {}", args.model, known.join(", ")));
    }
    let mut models: Vec<String> = cells.iter().map(|cell| format!("`{}`", cell.model)).collect();
    models.sort();
    models.dedup();
    let (model, root) = (&args.model, args.output_dir.display());
    Error::usage(format!("`{model}` has scored nothing in `{root}`; models there are {}", models.join(", ")))
}
