//! The bytes of a block: columns one after another, without names.
//!
//! Owns how numbers and texts are laid out. A column of numbers is split into byte planes (all lowest bytes, then all
//! second bytes, …), because deflate finds more repetition in a plane than in whole numbers. Not here: which columns a
//! block has (`index`, `texts`, `tokens`, `vocabulary`), and compression (`block`).

/// Version of the layout, the first byte of every block.
pub const VERSION: u8 = 1;

/// The columns of one block, in the order in which the page reads them.
pub struct Columns(Vec<u8>);

impl Columns {
    /// An empty block of a kind.
    pub fn new(kind: u8) -> Self {
        Self(vec![VERSION, kind])
    }

    /// A number by itself.
    pub fn count(&mut self, count: usize) {
        self.0.extend((count as u32).to_le_bytes());
    }

    /// Numbers below 256, one byte each.
    pub fn bytes(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.0.extend(bytes);
    }

    /// Numbers below 256^`WIDTH` as byte planes.
    pub fn numbers<const WIDTH: usize>(&mut self, numbers: &[u32]) {
        for plane in 0..WIDTH {
            self.0.extend(numbers.iter().map(|number| (number >> (8 * plane)) as u8));
        }
    }

    /// The bits of each float as four byte planes; NaN is *unknown*.
    pub fn floats(&mut self, floats: impl IntoIterator<Item = f32>) {
        // One pattern for all NaNs: the same tables give the same bytes.
        let bits = |float: f32| if float.is_nan() { f32::NAN.to_bits() } else { float.to_bits() };
        self.numbers::<4>(&floats.into_iter().map(bits).collect::<Vec<_>>());
    }

    /// Texts: their lengths in bytes of UTF-8, then the bytes.
    pub fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        let texts: Vec<&str> = texts.into_iter().collect();
        self.numbers::<4>(&texts.iter().map(|text| text.len() as u32).collect::<Vec<_>>());
        for text in texts {
            self.0.extend(text.as_bytes());
        }
    }

    /// All bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A signed number as one without sign: 0, −1, 1, −2, …
pub fn zigzag(number: i64) -> u32 {
    ((number << 1) ^ (number >> 63)) as u32
}

/// The inverse of [`Columns`], as the page's script has it.
#[cfg(test)]
pub mod reader {
    /// Reads a block from its beginning.
    pub struct Reader<'a>(pub &'a [u8]);

    impl<'a> Reader<'a> {
        pub fn of(block: &'a [u8], kind: u8) -> Self {
            assert_eq!(block[..2], [super::VERSION, kind]);
            Self(&block[2..])
        }

        pub fn bytes(&mut self, n: usize) -> &'a [u8] {
            let (bytes, rest) = self.0.split_at(n);
            self.0 = rest;
            bytes
        }

        pub fn count(&mut self) -> usize {
            u32::from_le_bytes(self.bytes(4).try_into().unwrap()) as usize
        }

        pub fn numbers(&mut self, width: usize, n: usize) -> Vec<u32> {
            let planes = self.bytes(width * n);
            (0..n).map(|i| (0..width).map(|plane| u32::from(planes[plane * n + i]) << (8 * plane)).sum()).collect()
        }

        pub fn floats(&mut self, n: usize) -> Vec<f32> {
            self.numbers(4, n).into_iter().map(f32::from_bits).collect()
        }

        pub fn texts(&mut self, n: usize) -> Vec<String> {
            let lengths = self.numbers(4, n);
            lengths.iter().map(|n| String::from_utf8(self.bytes(*n as usize).to_vec()).unwrap()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::reader::Reader;
    use super::{Columns, zigzag};

    #[test]
    fn small_numbers_of_either_sign_stay_small() {
        assert_eq!([0, -1, 1, -2, 2].map(zigzag), [0, 1, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in prop::collection::vec(any::<u32>(), 0..50),
            floats in prop::collection::vec(any::<f32>(), 0..50),
            texts in prop::collection::vec(any::<String>(), 0..20),
        ) {
            let small: Vec<u32> = numbers.iter().map(|number| number >> 8).collect();
            let mut columns = Columns::new(7);
            columns.count(numbers.len());
            columns.numbers::<4>(&numbers);
            columns.numbers::<3>(&small);
            columns.floats(floats.iter().copied());
            columns.texts(texts.iter().map(String::as_str));
            let block = columns.finish();
            let mut reader = Reader::of(&block, 7);
            let n = reader.count();
            prop_assert_eq!(reader.numbers(4, n), numbers);
            prop_assert_eq!(reader.numbers(3, n), small);
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            prop_assert!(reader.floats(floats.len()).iter().zip(&floats).all(same));
            prop_assert_eq!(reader.texts(texts.len()), texts);
            prop_assert!(reader.0.is_empty());
        }
    }
}
