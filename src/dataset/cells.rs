//! Values of Arrow columns as JSON, the way Python shows them.
//!
//! Owns the form of each type: 32-bit floats as the doubles that they are, `NaN` and `Infinity` in Python's words,
//! bytes as the text that they encode, timestamps in UTC, nulls as null. A value without such a form is an error that
//! names its type.

use std::collections::HashSet;
use std::fmt::Display;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, GenericListArray, OffsetSizeTrait, PrimitiveArray};
use arrow::datatypes::{
    DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::temporal_conversions::as_datetime;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Writes the value of a row. The error continues a sentence after the column's name.
pub type Cells<'a> = Box<dyn Fn(usize, &mut Vec<u8>) -> Result<(), String> + 'a>;

/// Number of decimal digits that every double represents.
const DIGITS: usize = 15;

/// How the values of a column are written.
///
/// # Errors
/// A type that has no form as JSON.
pub fn cells(array: &dyn Array) -> Result<Cells<'_>, String> {
    let values: Cells = match array.data_type() {
        DataType::Null => Box::new(|_, out| put(out, "null")),
        DataType::Boolean => {
            let array = array.as_boolean();
            Box::new(move |row, out| put(out, if array.value(row) { "true" } else { "false" }))
        }
        DataType::Int8 => wholes::<Int8Type>(array),
        DataType::Int16 => wholes::<Int16Type>(array),
        DataType::Int32 => wholes::<Int32Type>(array),
        DataType::Int64 => wholes::<Int64Type>(array),
        DataType::UInt8 => wholes::<UInt8Type>(array),
        DataType::UInt16 => wholes::<UInt16Type>(array),
        DataType::UInt32 => wholes::<UInt32Type>(array),
        DataType::UInt64 => wholes::<UInt64Type>(array),
        DataType::Float16 => floats(array.as_primitive::<Float16Type>(), f64::from),
        DataType::Float32 => floats(array.as_primitive::<Float32Type>(), f64::from),
        DataType::Float64 => floats(array.as_primitive::<Float64Type>(), |value| value),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            decimals(array)?
        }
        DataType::Timestamp(unit, zone) => match unit {
            TimeUnit::Second => instants::<TimestampSecondType>(array, zone.is_some()),
            TimeUnit::Millisecond => instants::<TimestampMillisecondType>(array, zone.is_some()),
            TimeUnit::Microsecond => instants::<TimestampMicrosecondType>(array, zone.is_some()),
            TimeUnit::Nanosecond => instants::<TimestampNanosecondType>(array, zone.is_some()),
        },
        DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_) => {
            let shown = shown(array)?;
            Box::new(move |row, out| text(out, &shown.value(row).try_to_string().map_err(|e| e.to_string())?))
        }
        _ => return texts_or_nested(array),
    };
    Ok(or_null(array, values))
}

/// Types that contain texts, or other values.
fn texts_or_nested(array: &dyn Array) -> Result<Cells<'_>, String> {
    let kind = array.data_type();
    let bytes = move |out: &mut Vec<u8>, bytes| match std::str::from_utf8(bytes) {
        Ok(decoded) => text(out, decoded),
        Err(_) => Err(format!("contains bytes that are not UTF-8 (the column is of type {kind})")),
    };
    let values: Cells = match kind {
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Box::new(move |row, out| text(out, array.value(row)))
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>();
            Box::new(move |row, out| text(out, array.value(row)))
        }
        DataType::Utf8View => {
            let array = array.as_string_view();
            Box::new(move |row, out| text(out, array.value(row)))
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            Box::new(move |row, out| bytes(out, array.value(row)))
        }
        DataType::LargeBinary => {
            let array = array.as_binary::<i64>();
            Box::new(move |row, out| bytes(out, array.value(row)))
        }
        DataType::BinaryView => {
            let array = array.as_binary_view();
            Box::new(move |row, out| bytes(out, array.value(row)))
        }
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            Box::new(move |row, out| bytes(out, array.value(row)))
        }
        _ => nested(array)?,
    };
    Ok(or_null(array, values))
}

fn nested(array: &dyn Array) -> Result<Cells<'_>, String> {
    if let Some((items, range)) = of_list(array) {
        return Ok(list(cells(items)?, range));
    }
    Ok(match array.data_type() {
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            // Where every row is null there is no value.
            let keys = if dictionary.values().is_empty() { Vec::new() } else { dictionary.normalized_keys() };
            let values = cells(dictionary.values())?;
            Box::new(move |row, out| values(keys[row], out))
        }
        DataType::Struct(_) => fields(array)?,
        DataType::Map(_, _) => pairs(array)?,
        other => return Err(format!("is a column of type {other}, which is not read")),
    })
}

/// Where the items of a row begin and end.
type Range<'a> = Box<dyn Fn(usize) -> (usize, usize) + 'a>;

/// The items of all rows of a list.
fn of_list(array: &dyn Array) -> Option<(&dyn Array, Range<'_>)> {
    match array.data_type() {
        DataType::List(_) => Some(between(array.as_list::<i32>())),
        DataType::LargeList(_) => Some(between(array.as_list::<i64>())),
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let offset = |row| list.value_offset_at(row);
            Some((list.values(), Box::new(move |row| (offset(row), offset(row + 1)))))
        }
        _ => None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the last step of what may fail")]
fn put(out: &mut Vec<u8>, word: &str) -> Result<(), String> {
    out.extend_from_slice(word.as_bytes());
    Ok(())
}

fn text(out: &mut Vec<u8>, text: &str) -> Result<(), String> {
    serde_json::to_writer(out, text).map_err(|e| e.to_string())
}

fn or_null<'a>(array: &'a dyn Array, values: Cells<'a>) -> Cells<'a> {
    Box::new(move |row, out| if array.is_null(row) { put(out, "null") } else { values(row, out) })
}

fn wholes<T: ArrowPrimitiveType<Native: Display>>(array: &dyn Array) -> Cells<'_> {
    let array = array.as_primitive::<T>();
    Box::new(move |row, out| put(out, &array.value(row).to_string()))
}

fn floats<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, wide: impl Fn(T::Native) -> f64 + 'static) -> Cells<'_> {
    Box::new(move |row, out| {
        let value = wide(array.value(row));
        put(
            out,
            &match value {
                f64::INFINITY => "Infinity".to_owned(),
                f64::NEG_INFINITY => "-Infinity".to_owned(),
                _ => format!("{value:?}"),
            },
        )
    })
}

fn shown(array: &dyn Array) -> Result<ArrayFormatter<'_>, String> {
    let options = FormatOptions::new().with_display_error(false);
    ArrayFormatter::try_new(array, &options).map_err(|e| e.to_string())
}

/// Numbers if a double represents them, else texts.
fn decimals(array: &dyn Array) -> Result<Cells<'_>, String> {
    let shown = shown(array)?;
    Ok(Box::new(move |row, out| {
        let number = shown.value(row).try_to_string().map_err(|e| e.to_string())?;
        let is_held = number.bytes().filter(u8::is_ascii_digit).count() <= DIGITS;
        if is_held { put(out, &number) } else { text(out, &number) }
    }))
}

/// What has a zone, whatever it is called, is an instant: it is shown in UTC.
fn instants<T: ArrowPrimitiveType<Native = i64>>(array: &dyn Array, has_zone: bool) -> Cells<'_> {
    let (array, zone) = (array.as_primitive::<T>(), if has_zone { "Z" } else { "" });
    Box::new(move |row, out| {
        let instant = as_datetime::<T>(array.value(row)).ok_or("contains a time that no calendar has")?;
        text(out, &format!("{instant:?}{zone}"))
    })
}

fn between<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> (&dyn Array, Range<'_>) {
    let offsets = list.value_offsets();
    (list.values(), Box::new(|row| (offsets[row].as_usize(), offsets[row + 1].as_usize())))
}

fn list<'a>(values: Cells<'a>, range: Range<'a>) -> Cells<'a> {
    Box::new(move |row, out| {
        let (start, end) = range(row);
        out.push(b'[');
        for item in start..end {
            if item > start {
                out.push(b',');
            }
            values(item, out)?;
        }
        out.push(b']');
        Ok(())
    })
}

fn fields(array: &dyn Array) -> Result<Cells<'_>, String> {
    let array = array.as_struct();
    let mut names = HashSet::new();
    if let Some(name) = array.column_names().into_iter().find(|name| !names.insert(*name)) {
        return Err(format!("holds objects with two fields `{name}`, of which JSON keeps one"));
    }
    let columns = array.columns().iter().zip(array.column_names());
    let columns = columns.map(|(column, name)| Ok((name, cells(column)?))).collect::<Result<Vec<_>, String>>()?;
    Ok(Box::new(move |row, out| {
        out.push(b'{');
        let mut separator = "";
        for (name, values) in &columns {
            put(out, separator)?;
            text(out, name)?;
            out.push(b':');
            values(row, out)?;
            separator = ",";
        }
        out.push(b'}');
        Ok(())
    }))
}

/// A map is an object if its keys are texts, and no two of a row alike.
fn pairs(array: &dyn Array) -> Result<Cells<'_>, String> {
    let array = array.as_map();
    if !matches!(array.keys().data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        return Err(format!("is a map by keys of type {}, which is not read", array.keys().data_type()));
    }
    let (keys, values, offsets) = (cells(array.keys())?, cells(array.values())?, array.value_offsets());
    Ok(Box::new(move |row, out| {
        let mut seen = HashSet::new();
        out.push(b'{');
        for pair in offsets[row]..offsets[row + 1] {
            if pair > offsets[row] {
                out.push(b',');
            }
            let before = out.len();
            keys(pair as usize, out)?;
            if !seen.insert(out[before..].to_vec()) {
                let key = String::from_utf8_lossy(&out[before..]);
                return Err(format!("holds a map with the key {key} twice, of which JSON keeps one"));
            }
            out.push(b':');
            values(pair as usize, out)?;
        }
        out.push(b'}');
        Ok(())
    }))
}
