//! The check that a file is a table of tokshift, by its columns.
//!
//! Owns which columns every version's tables have. Any other column may be missing: an older version did not know it, and
//! it is null in every row. Not here: the values.

use arrow::datatypes::{DataType, Schema};

use super::Table;
use crate::schema::{pair, sample, token, vocabulary};

/// The columns that no table may lack.
fn required(table: Table) -> &'static [&'static str] {
    match table {
        Table::Tokens => &[token::SAMPLE_ID, token::POSITION, token::TOKEN_ID, token::LOGPROB],
        Table::Samples => &[sample::SAMPLE_ID, sample::ROW_ID, sample::ROW, sample::CLUSTER_ID, sample::STATUS],
        Table::Pairs => &[pair::SAMPLE_ID, pair::POSITION, pair::KL],
        Table::Vocabulary => &[vocabulary::TOKEN_ID, vocabulary::TOKEN],
    }
}

/// Every column of the table's schema that `found` has is of its type, and none that is required is missing.
///
/// # Errors
/// The column, and what is wrong with it.
pub fn check(table: Table, found: &Schema) -> Result<(), String> {
    for field in table.schema().fields() {
        let (name, wanted) = (field.name(), field.data_type());
        let what = match found.field_with_name(name) {
            Err(_) if required(table).contains(&name.as_str()) => "is missing".to_owned(),
            Ok(found) if !is_same_kind(wanted, found.data_type()) => {
                format!("is {} where {wanted} is expected", found.data_type())
            }
            _ => continue,
        };
        return Err(format!("not a table of tokshift: column `{name}` {what}"));
    }
    Ok(())
}

/// Whether both types are read alike: programs that write a table again choose among the types of texts and lists.
fn is_same_kind(wanted: &DataType, found: &DataType) -> bool {
    match (wanted, found) {
        (DataType::Utf8, DataType::LargeUtf8 | DataType::Utf8View) => true,
        (DataType::List(wanted), DataType::List(found) | DataType::LargeList(found)) => {
            is_same_kind(wanted.data_type(), found.data_type())
        }
        _ => wanted == found,
    }
}
