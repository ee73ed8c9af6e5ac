//! Where the parts of a logits file are.
//!
//! Owns sizes, which follow from the three numbers of the header. Not here: reading and writing.

/// What such a file begins with.
pub const MAGIC: &[u8; 8] = b"_logits_";
/// Bytes before the ids.
pub const HEADER: u64 = 20;

/// How a file of such windows is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub window: usize,
    pub vocab: usize,
    pub windows: usize,
}

impl Shape {
    /// Rows of a window.
    pub fn rows_of_window(self) -> usize {
        self.window - 1 - self.window / 2
    }

    /// Numbers of 16 bits in a row.
    pub fn row(self) -> usize {
        4 + self.vocab.next_multiple_of(2)
    }

    /// Where the rows begin.
    pub fn begin(self) -> u64 {
        HEADER + 4 * (self.window * self.windows) as u64
    }

    /// Of the whole file. A damaged header may claim more than a u64 holds.
    pub fn bytes(self) -> u128 {
        let [window, windows, rows, row] =
            [self.window, self.windows, self.rows_of_window(), self.row()].map(|size| size as u128);
        u128::from(HEADER) + 4 * window * windows + 2 * windows * rows * row
    }
}
