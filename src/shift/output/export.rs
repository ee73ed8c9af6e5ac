//! Tables for other documents: Markdown, LaTeX, CSV, or picked columns on a terminal.
//!
//! Owns these formats but for CSV (`csv`). Not here: which values stand in a cell (`columns`), and writing anywhere.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::{self, Row};
use super::columns::{Cell, Marked, Pick};
use super::csv::csv;
use super::layout::{Column, Give, Grid, wrapped};
use super::marks::mark;
use super::notes::{label, of_all};
use super::summary::{Of, rows};
use super::warnings::incomplete;
use crate::escape::visible;
use crate::shift::result::comparison::Comparison;

/// A format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Aligned columns of at most this width.
    Terminal(usize),
    /// A pipe table.
    Markdown,
    /// A `tabular` with the rules of the package booktabs.
    Latex,
    /// Values with all digits, and their standard errors and intervals in columns of their own.
    Csv,
}

/// What a table shows.
#[derive(Clone, Debug)]
pub struct TableRequest<'a> {
    /// Its format.
    pub format: TableFormat,
    /// Its columns of statistics; the usual ones if empty.
    pub columns: Vec<Pick>,
    /// For the card of a quantised model: the columns of one, and Q is called its file.
    pub is_card: bool,
    /// Bytes of models' files, by model.
    pub sizes: &'a BTreeMap<String, u64>,
}

impl TableRequest<'_> {
    /// The columns of statistics of a table of these rows.
    fn picks(&self, rows: &[Of]) -> Vec<Pick> {
        match () {
            () if !self.columns.is_empty() => self.columns.clone(),
            () if self.is_card => Pick::of_card(),
            () => Pick::usual(rows),
        }
    }
}

/// One row per pair and, over several tasks, per two models, with the columns that are requested.
pub fn export(comparison: &Comparison, request: &TableRequest) -> String {
    let rows = rows(comparison);
    let picks = request.picks(&rows);
    if request.format == TableFormat::Csv {
        return csv(&rows, &picks, request.sizes);
    }
    let table = Table::new(&rows, &picks, request);
    let notes = table.notes(comparison, &rows, &picks);
    match request.format {
        TableFormat::Terminal(width) => table.terminal(&notes, width),
        TableFormat::Latex => table.latex(&notes),
        TableFormat::Markdown | TableFormat::Csv => table.markdown(&notes),
    }
}

/// Cells as people read them.
struct Table<'a> {
    names: Vec<&'static str>,
    heads: Vec<String>,
    rows: Vec<(Row, Vec<Marked<'a>>)>,
}

impl<'a> Table<'a> {
    fn new(rows: &[Of<'a>], picks: &[Pick], request: &TableRequest) -> Self {
        let tasks: BTreeSet<String> = rows.iter().map(|of| of.task()).collect();
        let ps: BTreeSet<&str> = rows.iter().map(|of| of.models()[0]).collect();
        let by = !request.is_card && rows.iter().any(|of| of.models()[0] != of.generation_model());
        let shown = [
            (!request.is_card || tasks.len() > 1, "task"),
            (by, "by"),
            (!request.is_card || ps.len() > 1, "P"),
            (true, if request.is_card { "file" } else { "Q" }),
        ];
        let row = |of: &Of<'a>| {
            let [p, q] = of.models();
            let names = [of.task(), of.generation_model().to_owned(), p.to_owned(), q.to_owned()];
            let names = names.into_iter().zip(shown).filter(|(_, (is_shown, _))| *is_shown).map(|(name, _)| name);
            (names.collect(), picks.iter().map(|pick| pick.cell(*of, request.sizes)).collect())
        };
        Self {
            names: shown.iter().filter(|(is_shown, _)| *is_shown).map(|(_, name)| *name).collect(),
            heads: picks.iter().map(|pick| pick.head()).collect(),
            rows: rows.iter().map(row).collect(),
        }
    }

    /// What a reader of the table has to know, wherever it is shown.
    fn notes(&self, comparison: &Comparison, rows: &[Of], picks: &[Pick]) -> Vec<String> {
        let cells = || self.rows.iter().flat_map(|(_, cells)| cells);
        let mut notes = vec![
            "P wrote the responses, or is the reference; Q is compared with it. ± is one standard error, \
                              clustered by prompt; KL in nats per token."
                .to_owned(),
        ];
        if !self.names.contains(&"P") {
            notes[0] = format!("P = {}. {}", rows.first().map_or("", |of| of.models()[0]), notes[0]);
        }
        if cells().any(|cell| cell.is_k1 && cell.cell != Cell::Missing) {
            notes.push("(k1): the mean of ln p - ln q, an estimate of the KL".to_owned());
        }
        let caveats = cells().filter_map(|cell| cell.estimate);
        let caveats: BTreeSet<_> =
            caveats.filter_map(|of| Some(format!("{} k1 and k3 are {}", mark(of), of.caveat()?))).collect();
        notes.extend(caveats);
        let temperatures = rows.iter().filter_map(|of| of.temperature());
        let temperatures: BTreeSet<String> = temperatures.map(|temperature| temperature.to_string()).collect();
        if !temperatures.is_empty() {
            let all = temperatures.into_iter().collect::<Vec<_>>().join(", ");
            notes.push(format!("exact measures are at temperature {all}"));
        }
        let few = rows.iter().filter(|of| of.has_few_clusters()).map(|of| of.task()).collect::<BTreeSet<_>>();
        if !few.is_empty() {
            let few = few.into_iter().collect::<Vec<_>>().join(", ");
            notes.push(format!("fewer than 30 clusters, so that standard errors are rough: {few}"));
        }
        let partial = comparison.pairs.iter().filter_map(|pair| Some((label(pair), pair.partial.as_ref()?)));
        notes.extend(partial.map(|(label, partial)| format!("{label}: {}", incomplete(partial))));
        let lacks = |place: usize| self.rows.iter().any(|(_, cells)| cells[place].cell == Cell::Missing);
        notes.extend(of_all(comparison));
        if picks.iter().enumerate().any(|(place, pick)| pick.is_size() && lacks(place)) {
            notes.push("size -: the log of the directory does not say how large the model's files are".to_owned());
        }
        notes
    }

    fn terminal(&self, notes: &[String], width: usize) -> String {
        let names = self.names.iter().map(|name| Column::new(*name, Give::Name));
        let columns = names.chain(self.heads.iter().map(|head| Column::new(head, Give::Never))).collect();
        let rows =
            self.rows.iter().map(|(names, cells)| names.iter().cloned().chain(cells.iter().map(shown)).collect());
        let lines = Grid { columns, rows: rows.collect() }.fitted(width).lines;
        let notes = notes.iter().flat_map(|note| wrapped(&visible(note), width, 2));
        lines.into_iter().chain([String::new()]).chain(notes).map(|line| line + "\n").collect()
    }

    fn markdown(&self, notes: &[String]) -> String {
        let escaped = markdown;
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let head = self.names.iter().map(|name| (*name).to_owned()).chain(self.heads.iter().map(|head| escaped(head)));
        let rule = self.names.iter().map(|_| "---").chain(self.heads.iter().map(|_| "---:")).map(str::to_owned);
        let mut text = line(head.collect()) + &line(rule.collect());
        for (names, cells) in &self.rows {
            let names = names.iter().map(|name| escaped(name));
            text += &line(names.chain(cells.iter().map(|cell| escaped(&shown(cell)))).collect());
        }
        let notes = notes.iter().map(|note| format!("\n{}\n", escaped(note)));
        text + &notes.collect::<String>()
    }

    fn latex(&self, notes: &[String]) -> String {
        // Brackets or a star after `\\` would be its argument.
        let line = |cells: Vec<String>| {
            let lead = if cells[0].starts_with(['[', '*']) { "{}" } else { "" };
            format!("{lead}{} \\\\\n", cells.join(" & "))
        };
        let layout = "l".repeat(self.names.len()) + &"r".repeat(self.heads.len());
        let head = self.names.iter().map(|name| latex(name)).chain(self.heads.iter().map(|head| latex(head)));
        let notes = notes.iter().map(|note| ["% ", &visible(note), "\n"].concat());
        let begin = ["% needs \\usepackage{booktabs}\n\\begin{tabular}{", &layout, "}\n\\toprule\n"].concat();
        let mut text = notes.collect::<String>() + &begin + &line(head.collect()) + "\\midrule\n";
        for (names, cells) in &self.rows {
            text += &line(
                names.iter().map(|name| latex(name)).chain(cells.iter().map(|cell| latex(&shown(cell)))).collect(),
            );
        }
        text + "\\bottomrule\n\\end{tabular}\n"
    }
}

/// A cell with its mark.
fn shown(marked: &Marked) -> String {
    let text = match marked.cell {
        Cell::Missing => return "-".to_owned(),
        Cell::Mean(estimate) => cells::mean(estimate),
        Cell::Share(estimate) => cells::share(estimate.value),
        Cell::Bounds(low, high) => cells::bounds(low, high),
        Cell::Count(count) => count.to_string(),
        Cell::Bytes(bytes) => size(bytes),
    };
    let k1 = if marked.is_k1 { " (k1)" } else { "" };
    text + marked.estimate.map_or("", mark) + k1
}

/// Bytes in units of 1000, as files are sold.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes >= 1e9 => format!("{:.2} GB", bytes / 1e9),
        bytes if bytes >= 1e6 => format!("{:.1} MB", bytes / 1e6),
        bytes => format!("{:.1} kB", bytes / 1e3),
    }
}

/// Text with the characters escaped that Markdown, its tables and its mathematics act on, or HTML in it.
fn markdown(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text).chars() {
        if "\\|*_`[]<>$~&#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Text with LaTeX's own characters escaped, and with numbers as mathematics.
fn latex(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text).chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '±' => out += "$\\pm$",
            '‖' => out += "$\\,\\|\\,$",
            '…' => out += "\\ldots{}",
            '<' => out += "$<$",
            '>' => out += "$>$",
            '−' => out += "$-$",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{latex, markdown, size};

    #[test]
    fn markdown_has_no_character_that_it_would_act_on() {
        let escaped = markdown("<b>|`x`|[a](b) *c* _d_ $e$ ~~f~~ &lt; #g \\");
        assert_eq!(escaped, "\\<b\\>\\|\\`x\\`\\|\\[a\\](b) \\*c\\* \\_d\\_ \\$e\\$ \\~\\~f\\~\\~ \\&lt; \\#g \\\\");
    }

    #[test]
    fn latex_has_no_character_that_it_would_act_on() {
        assert_eq!(latex("a_b & 5% ± <0.1% {x}\\"), "a\\_b \\& 5\\% $\\pm$ $<$0.1\\% \\{x\\}\\textbackslash{}");
        assert_eq!(latex("KL(P‖Q)"), "KL(P$\\,\\|\\,$Q)");
    }

    #[test]
    fn sizes_have_three_digits() {
        assert_eq!([1_234, 144_811_232, 7_654_321_000].map(size), ["1.2 kB", "144.8 MB", "7.65 GB"]);
    }
}
