//! Picked columns as CSV: every value with all its digits.
//!
//! Owns the heads, and which values a column has. Not here: which statistics there are (`columns`).

use std::collections::BTreeMap;

use super::columns::{Cell, Marked, Pick};
use super::file::{quoted, text_cell};
use super::summary::Of;

/// Every row with the names of its models, then for each column the value and what is known of its error.
pub fn csv(rows: &[Of], picks: &[Pick], sizes: &BTreeMap<String, u64>) -> String {
    let mut head: Vec<String> = ["task", "tasks", "generation_model", "p", "q", "clusters", "partial", "kl_estimate"]
        .map(str::to_owned)
        .to_vec();
    let picks: Vec<Pick> = picks.iter().copied().filter(|pick| pick.name() != "clusters").collect();
    for pick in &picks {
        let name = pick.name();
        match name.as_str() {
            "best_kl" => head.extend(["", "_stderr", "_low", "_high", "_from"].map(|ending| format!("{name}{ending}"))),
            "bounds" => head.extend(["kl_lower", "kl_upper"].map(str::to_owned)),
            "samples" | "tokens" => head.push(name),
            "size" => head.push("size_bytes".to_owned()),
            _ => head.extend(["", "_stderr", "_low", "_high"].map(|ending| format!("{name}{ending}"))),
        }
    }
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let row = |of: &Of| {
        let [p, q] = of.models();
        // A row over several tasks has no task, as in `--statistics`.
        let (task, tasks) = match of {
            Of::Pair(pair) => (pair.task.clone(), 1),
            Of::Pooled(all) => (String::new(), all.tasks.len()),
        };
        let mut cells = vec![text_cell(&task), tasks.to_string()];
        cells.extend([of.generation_model(), p, q].map(text_cell));
        cells.extend([of.clusters().to_string(), of.parts().is_some().to_string()]);
        cells.push(of.kl_estimate().answer().to_owned());
        for pick in &picks {
            cells.extend(values(*pick, pick.cell(*of, sizes)).iter().map(|value| quoted(value)));
        }
        line(cells)
    };
    line(head) + &rows.iter().map(row).collect::<String>()
}

/// The values of a column, as many as its heads.
fn values(pick: Pick, marked: Marked) -> Vec<String> {
    let number = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
    let is_best = pick.name() == "best_kl";
    let mut values = match marked.cell {
        Cell::Mean(of) | Cell::Share(of) => [Some(of.value), of.stderr, of.low, of.high].map(number).to_vec(),
        Cell::Bounds(low, high) => [Some(low), high].map(number).to_vec(),
        Cell::Count(count) | Cell::Bytes(count) => vec![count.to_string()],
        Cell::Missing => vec![
            String::new();
            if pick.name() == "bounds" {
                2
            } else if pick.is_one() {
                1
            } else {
                4
            }
        ],
    };
    if is_best {
        let from = if marked.cell == Cell::Missing {
            ""
        } else if marked.is_k1 {
            "k1"
        } else {
            "exact"
        };
        values.push(from.to_owned());
    }
    values
}
