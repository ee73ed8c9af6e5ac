use std::path::Path;

use arrow::array::{ArrayRef, LargeStringArray, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;

use super::*;
use crate::stored::StoredFile;

/// Such a file as another program may write.
fn stored(batch: &RecordBatch) -> StoredFile {
    let file = tempfile::tempfile().unwrap();
    let mut writer = ArrowWriter::try_new(&file, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    StoredFile::new(file, Path::new("part")).unwrap()
}

fn open(batch: &RecordBatch) -> Result<TableReader<TokenColumns>> {
    TableReader::open(stored(batch))
}

fn read(batch: &RecordBatch) -> Result<TokenColumns> {
    open(batch)?.rows()?.next().unwrap()
}

/// The tokens table of [`three`] with a column of another type.
fn with(name: &str, column: ArrayRef) -> RecordBatch {
    let batch = tokens_batch(&three()).unwrap();
    let index = batch.schema().index_of(name).unwrap();
    let (mut fields, mut columns) = (batch.schema().fields().to_vec(), batch.columns().to_vec());
    fields[index] = Field::new(name, column.data_type().clone(), true).into();
    columns[index] = column;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn what_was_written_is_read() {
    let columns = read(&tokens_batch(&three()).unwrap()).unwrap();
    assert_eq!(columns.rows, 4);
    let rows = || 0..columns.rows;
    assert_eq!(rows().map(|row| columns.token_id.get(row)).collect::<Vec<_>>(), [3, 4, 0, 1].map(Some));
    assert_eq!(rows().map(|row| columns.token.get(row)).collect::<Vec<_>>(), ["a", "b", "a", "b"].map(Some));
    assert_eq!(
        rows().map(|row| columns.logprob.get(row)).collect::<Vec<_>>(),
        [Some(-1.0), Some(-2.0), None, Some(-4.0)]
    );
    assert_eq!(rows().map(|row| columns.is_end.is_set(row)).collect::<Vec<_>>(), [false, true, false, true]);
    assert_eq!(rows().map(|row| columns.top_ids.get(row).len()).collect::<Vec<_>>(), [2, 2, 0, 2]);
}

/// Some columns are read, or the file is of a version that did not write all of them.
#[test]
fn a_column_that_is_not_there_is_null() {
    let mut batch = tokens_batch(&three()).unwrap();
    for name in [token::RANK, token::IS_END, token::TOKEN, token::TOP_IDS] {
        batch.remove_column(batch.schema().index_of(name).unwrap());
    }
    let older = read(&batch).unwrap();
    let mut rows = open(&tokens_batch(&three()).unwrap()).unwrap().columns(&[token::LOGPROB, "unheard of"]).unwrap();
    let some = rows.next().unwrap().unwrap();
    for columns in [older, some] {
        assert_eq!((columns.rows, columns.logprob.get(0)), (4, Some(-1.0)));
        assert_eq!((columns.rank.get(0), columns.token.get(0), columns.is_end.is_set(1)), (None, None, false));
        assert!(columns.top_ids.get(0).is_empty() && columns.rank.array().is_none());
    }
}

#[test]
fn no_table_lacks_what_all_versions_have() {
    let whole = tokens_batch(&three()).unwrap();
    for name in [token::SAMPLE_ID, token::POSITION, token::TOKEN_ID, token::LOGPROB] {
        let mut batch = whole.clone();
        batch.remove_column(batch.schema().index_of(name).unwrap());
        let error = open(&batch).map(drop).unwrap_err().to_string();
        assert_eq!(error, format!("`part`: not a table of tokshift: column `{name}` is missing"));
    }
}

#[test]
fn a_column_of_another_type_is_named_and_texts_and_lists_may_be_of_any_kind() {
    let columns = read(&with(token::TOKEN, Arc::new(LargeStringArray::from(vec!["a", "b", "c", "d"])))).unwrap();
    assert_eq!(columns.token.get(2), Some("c"));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"; 4]));
    let error = open(&with(token::RANK, texts)).map(drop).unwrap_err().to_string();
    assert_eq!(error, "`part`: not a table of tokshift: column `rank` is Utf8 where UInt32 is expected");
}

/// An item without a value is not an item 0.
#[test]
fn a_list_with_an_unknown_item_is_rejected() {
    let lists = [Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(3)])];
    let lists = ListArray::from_iter_primitive::<UInt32Type, _, _>(lists);
    let error = read(&with(token::TOP_IDS, Arc::new(lists))).map(drop).unwrap_err().to_string();
    assert_eq!(error, "`part`: column `top_ids` has lists with unknown items");
}
