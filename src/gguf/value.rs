//! Values of a header.
//!
//! Owns their types. An array stays in the bytes of the file, so that it takes no more memory than there.

use std::fmt::{self, Display, Formatter};

/// A value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An unsigned integer of any width.
    Unsigned(u64),
    /// A signed integer of any width.
    Signed(i64),
    /// A float of 32 or 64 bits.
    Float(f64),
    /// true or false.
    Bool(bool),
    /// A string.
    Text(String),
    /// An array.
    Array(Array),
}

/// Values of one type, neither arrays nor mixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// Type of its items.
    pub kind: Kind,
    /// Number of its items.
    pub count: u64,
    /// As in the file, little-endian; texts each with its length before it.
    pub bytes: Vec<u8>,
}

/// A value's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    /// By its number in a file.
    pub fn from_number(number: u32) -> Option<Self> {
        const KINDS: [Kind; 13] = [
            Kind::U8,
            Kind::I8,
            Kind::U16,
            Kind::I16,
            Kind::U32,
            Kind::I32,
            Kind::F32,
            Kind::Bool,
            Kind::Text,
            Kind::Array,
            Kind::U64,
            Kind::I64,
            Kind::F64,
        ];
        KINDS.get(number as usize).copied()
    }

    /// Bytes of a value; `None` where its length varies.
    pub fn width(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }

    /// The value that `bytes` are, of this type's width.
    pub fn decode(self, bytes: &[u8]) -> Option<Value> {
        let sign = |x: i64| Value::Signed(x);
        let plain = |x: u64| Value::Unsigned(x);
        Some(match self {
            Self::U8 => plain(u8::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::U16 => plain(u16::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::U32 => plain(u32::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::U64 => plain(u64::from_le_bytes(bytes.try_into().ok()?)),
            Self::I8 => sign(i8::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::I16 => sign(i16::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::I32 => sign(i32::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::I64 => sign(i64::from_le_bytes(bytes.try_into().ok()?)),
            Self::F32 => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::F64 => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            Self::Bool => Value::Bool(*bytes.first()? != 0),
            Self::Text | Self::Array => return None,
        })
    }
}

impl Array {
    /// Its texts, those that are no UTF-8 with U+FFFD; `None` if it contains something else.
    pub fn texts(&self) -> Option<Vec<String>> {
        (self.kind == Kind::Text).then_some(())?;
        let mut rest = self.bytes.as_slice();
        let mut texts = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk() {
            let (text, after) = after.split_at_checked(u64::from_le_bytes(*length) as usize)?;
            texts.push(String::from_utf8_lossy(text).into_owned());
            rest = after;
        }
        Some(texts)
    }

    /// Its numbers as f64; `None` if it contains something else.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        let number = |bytes| match self.kind.decode(bytes)? {
            Value::Unsigned(x) => Some(x as f64),
            Value::Signed(x) => Some(x as f64),
            Value::Float(x) => Some(x),
            _ => None,
        };
        self.bytes.chunks_exact(self.kind.width()?).map(number).collect()
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self {
            Self::Unsigned(x) => write!(f, "{x}"),
            Self::Signed(x) => write!(f, "{x}"),
            Self::Float(x) => write!(f, "{x}"),
            Self::Bool(x) => write!(f, "{x}"),
            Self::Text(text) => write!(f, "{:?}", text.chars().take(80).collect::<String>()),
            Self::Array(array) => write!(f, "an array of {}", array.count),
        }
    }
}
