//! Tables that fit a screen: columns that are aligned, names that are shortened, columns that are left out.
//!
//! Owns how a table gives way to a width, and how prose is wrapped. Widths are columns of a terminal, not characters. Not
//! here: what is in a table.

use std::borrow::Cow;
use std::collections::BTreeSet;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cells::{Row, aligned};
use crate::escape::visible;

/// What happens to a column if the table is too wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Give {
    /// Its cells are names, which are shortened in the middle. Names stand to the left and come first.
    Name,
    /// It stays as it is.
    Never,
    /// It is left out, and with it all columns of the same number; the lowest number first.
    Drop(u8),
}

/// The head of a column, and how it gives way.
#[derive(Clone, Debug)]
pub struct Column {
    /// The first line of the column.
    pub head: String,
    /// How it gives way.
    pub give: Give,
}

impl Column {
    /// A column with this head.
    pub fn new(head: impl Into<String>, give: Give) -> Self {
        Self { head: head.into(), give }
    }
}

/// Columns with a head, and rows with a cell for each.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// Names first.
    pub columns: Vec<Column>,
    /// As many cells as there are columns.
    pub rows: Vec<Row>,
}

/// A table that fits, as far as it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// The head and the rows.
    pub lines: Vec<String>,
    /// Heads of the columns that were left out.
    pub left_out: Vec<String>,
}

impl Fitted {
    /// The lines, and below them what was left out.
    pub fn with_left_out(self, width: usize) -> Vec<String> {
        let mut heads = self.left_out;
        heads.dedup();
        let left_out = (!heads.is_empty()).then(|| format!("left out to fit {width} columns: {}", heads.join(", ")));
        self.lines.into_iter().chain(left_out).collect()
    }
}

/// One way to make a table narrower.
enum Step {
    /// No name is wider than this.
    Names(usize),
    /// The columns with this number are left out.
    Drop(u8),
}

/// In this order, until the table fits.
const STEPS: [Step; 5] = [Step::Names(24), Step::Drop(1), Step::Names(16), Step::Drop(2), Step::Names(10)];

impl Grid {
    /// The table in at most `width` columns of a terminal. If no step makes it fit, its rows follow one another, a line
    /// for each cell.
    pub fn fitted(&self, width: usize) -> Fitted {
        let mut grid = self.clone();
        let mut left_out = Vec::new();
        for step in STEPS {
            let lines = grid.lines();
            if lines.iter().all(|line| line.width() <= width) {
                return Fitted { lines, left_out };
            }
            match step {
                Step::Names(limit) => grid.shorten_names(self, limit),
                Step::Drop(number) => left_out.extend(grid.drop(number)),
            }
        }
        let lines = grid.lines();
        if lines.iter().all(|line| line.width() <= width) {
            return Fitted { lines, left_out };
        }
        Fitted { lines: self.records(width), left_out: Vec::new() }
    }

    /// Every row as lines of its own, a cell each, one row after the other.
    fn records(&self, width: usize) -> Vec<String> {
        let record = |row: &Row| {
            let cells =
                self.columns.iter().zip(row).map(|(column, cell)| format!("{}: {}", column.head, visible(cell)));
            cells.flat_map(|line| wrapped(&line, width, 2)).collect::<Vec<_>>()
        };
        self.rows.iter().map(record).collect::<Vec<_>>().join(&String::new())
    }

    fn lines(&self) -> Vec<String> {
        let head = self.columns.iter().map(|column| column.head.clone()).collect();
        let rows: Vec<Row> = std::iter::once(head).chain(self.rows.iter().cloned()).collect();
        aligned(&rows, self.names())
    }

    fn names(&self) -> usize {
        self.columns.iter().filter(|column| column.give == Give::Name).count()
    }

    /// Names of `whole` no wider than `limit`; a column stays as it is where two of its names would become one.
    fn shorten_names(&mut self, whole: &Self, limit: usize) {
        for column in 0..self.names() {
            let names: BTreeSet<String> = whole.rows.iter().map(|row| visible(&row[column])).collect();
            let shorter: BTreeSet<String> = names.iter().map(|name| shortened(name, limit).into_owned()).collect();
            if shorter.len() < names.len() {
                continue;
            }
            for (row, of_whole) in self.rows.iter_mut().zip(&whole.rows) {
                row[column] = shortened(&visible(&of_whole[column]), limit).into_owned();
            }
        }
    }

    fn drop(&mut self, number: u8) -> Vec<String> {
        let mut heads = Vec::new();
        while let Some(place) = self.columns.iter().position(|column| column.give == Give::Drop(number)) {
            for row in &mut self.rows {
                row.remove(place);
            }
            heads.push(self.columns.remove(place).head);
        }
        heads
    }
}

/// A name with its middle replaced by `…` if it takes more than `limit` columns of a terminal.
pub fn shortened(name: &str, limit: usize) -> Cow<'_, str> {
    if name.width() <= limit {
        return Cow::Borrowed(name);
    }
    let tail = limit.saturating_sub(1) / 2;
    let (front, back) = (front(name.chars(), limit.saturating_sub(1) - tail), front(name.chars().rev(), tail));
    Cow::Owned(front + "…" + &back.chars().rev().collect::<String>())
}

/// As many of the first characters as take at most `limit` columns.
fn front(chars: impl Iterator<Item = char>, limit: usize) -> String {
    let mut left = limit;
    let fits = |c: &char| {
        let fits = c.width().unwrap_or_default() <= left;
        left = left.saturating_sub(c.width().unwrap_or_default());
        fits
    };
    chars.take_while(fits).collect()
}

/// A line broken between words so that it takes at most `width` columns; what follows the first line is indented.
pub fn wrapped(line: &str, width: usize, indent: usize) -> Vec<String> {
    let lead = line.len() - line.trim_start_matches(' ').len();
    let (mut lines, mut current) = (Vec::new(), line[..lead].to_owned());
    let mut is_begun = false;
    for word in line[lead..].split(' ') {
        if is_begun && current.width() + 1 + word.width() > width {
            lines.push(std::mem::replace(&mut current, " ".repeat(indent)));
        } else if is_begun {
            current.push(' ');
        }
        current.push_str(word);
        is_begun = true;
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(names: &[&str]) -> Grid {
        let columns = vec![
            Column::new("name", Give::Name),
            Column::new("KL", Give::Never),
            Column::new("same top", Give::Drop(2)),
            Column::new("shifted", Give::Drop(1)),
        ];
        let row = |name: &&str| vec![(*name).to_owned(), "0.060 ± 0.003".into(), "97.5%".into(), "1.1%".into()];
        Grid { columns, rows: names.iter().map(row).collect() }
    }

    #[test]
    fn a_table_gives_way_step_by_step() {
        let grid = grid(&["a", "a-name-of-thirty-columns-indeed"]);
        let of = |width| {
            let fitted = grid.fitted(width);
            let widest = fitted.lines.iter().map(|line| line.width()).max().unwrap();
            (widest <= width, fitted.lines[2].split(' ').next().unwrap().to_owned(), fitted.left_out)
        };
        assert_eq!(of(80), (true, "a-name-of-thirty-columns-indeed".into(), vec![]));
        assert_eq!(of(60), (true, "a-name-of-th…umns-indeed".into(), vec![]));
        assert_eq!(of(50), (true, "a-name-of-th…umns-indeed".into(), vec!["shifted".into()]));
        assert_eq!(of(42), (true, "a-name-o…-indeed".into(), vec!["shifted".into()]));
        assert_eq!(of(31), (true, "a-name-o…-indeed".into(), vec!["shifted".into(), "same top".into()]));
        assert_eq!(of(26), (true, "a-nam…deed".into(), vec!["shifted".into(), "same top".into()]));
        let records = grid.fitted(20).lines;
        assert_eq!(records[..4], ["name: a", "KL: 0.060 ± 0.003", "same top: 97.5%", "shifted: 1.1%"]);
        assert_eq!(records[4..6], ["", "name:"], "a name without spaces is not broken");
    }

    #[test]
    fn names_that_would_become_one_stay() {
        let grid = grid(&["qwen-of-the-third-step-100-of-many-steps", "qwen-of-the-third-step-200-of-many-steps"]);
        assert!(grid.fitted(56).lines[1].starts_with("qwen-of-the-third-step-100-of-many-steps "));
    }

    #[test]
    fn widths_are_columns_of_a_terminal() {
        assert_eq!(shortened("数学与物理模型", 7), "数…模型".replace("模型", "型"));
        assert_eq!(shortened("数学", 4), "数学");
        assert_eq!(wrapped("note: 数学 数学 数学", 11, 2), ["note: 数学", "  数学 数学"]);
        assert_eq!(wrapped("  a bc d", 5, 4), ["  a", "    bc", "    d"]);
    }
}
