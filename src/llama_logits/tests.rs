//! Rows as llama.cpp's own reader has them, and files that are not whole.

use std::fs;

use super::{File, Writer, is_logits_file};

const WINDOW: usize = 8;
const VOCAB: usize = 5;

fn ids() -> Vec<u32> {
    (0..16).map(|id| id % VOCAB as u32).collect()
}

/// Rows of which the last id lies beyond the range that is kept, but for those of the first window.
fn logits(row: usize) -> Vec<f32> {
    let last = if row < 3 { -3.0 } else { -30.0 };
    vec![row as f32 * 0.1, 1.5, -2.25, 1.5, last]
}

fn written() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, WINDOW, VOCAB, &ids()).unwrap();
    (0..6).for_each(|row| writer.row(&logits(row)).unwrap());
    writer.finish().unwrap();
    bytes
}

fn open(bytes: &[u8]) -> Result<File, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base.kld");
    fs::write(&path, bytes).unwrap();
    File::open(&path).map_err(|e| e.to_string())
}

#[test]
fn what_is_written_is_read_to_half_a_step() {
    let file = open(&written()).unwrap();
    assert_eq!((file.window(), file.vocab(), file.rows_of_window(), file.rows()), (8, 5, 3, 6));
    assert_eq!(file.ids(), ids());
    for number in 0..6 {
        let (row, logits) = (file.row(number).unwrap(), logits(number));
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        let expected = |id: usize| f64::from(logits[id]) - sum.ln();
        let half = 0.5 * 16.0 / 65535.0 + 1e-6;
        assert_eq!(row.is_cut(), number >= 3);
        for id in 0..5_u32 {
            assert_eq!(row.is_known(id), number < 3 || id < 4);
            if row.is_known(id) {
                assert!((row.logprob(id) - expected(id as usize)).abs() <= half, "row {number}, id {id}");
            }
        }
        // An unknown probability is at most the lowest.
        assert!(number < 3 || row.logprob(4) >= expected(4) && row.logprob(4) < -16.0);
        let entropy: f64 = -(0..5).map(|id| expected(id).exp() * expected(id)).sum::<f64>();
        assert!((row.entropy() - entropy).abs() < 1e-4 && (row.sum() - 1.0).abs() < 1e-4);
        // Ids 1 and 3 are equal.
        assert_eq!((row.rank(1), row.rank(0), row.rank(4)), ((1, 1), (3, 0), (5, 0)));
        assert_eq!((row.top(2), row.top(9).len()), (vec![1, 3], 5));
    }
}

/// The bits that llama.cpp's `log_softmax` gives for these logits, by hand.
#[test]
fn rows_have_the_bits_of_llama_cpp() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, 4, 3, &[0, 1, 2, 0]).unwrap();
    writer.row(&[0.0, 16.0, -16.0]).unwrap();
    writer.finish().unwrap();
    let row = &bytes[20 + 16..];
    assert_eq!(row.len(), 2 * (4 + 4));
    let number = |at: usize| f32::from_le_bytes(row[at..at + 4].try_into().unwrap());
    assert_eq!((number(0), number(4)), (16.0 / 65535.0, 0.0 - 16.0 - (1.0 + (-16_f64).exp()).ln() as f32));
    // The id at the end of the range has the number 0, as the one beyond it.
    assert_eq!(row[8..], [0, 0, 255, 255, 0, 0, 0, 0]);
}

#[test]
fn equal_logits_are_no_range() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, 4, 2, &[0, 1, 1, 0]).unwrap();
    writer.row(&[2.0, 2.0]).unwrap();
    writer.finish().unwrap();
    let row = open(&bytes).unwrap().row(0).unwrap();
    assert!(!row.is_cut() && (row.logprob(1) + 2_f64.ln()).abs() < 1e-6 && row.rank(1) == (1, 1));
}

#[test]
fn what_is_not_whole_is_refused_with_its_place() {
    let whole = written();
    let said = |bytes: &[u8]| open(bytes).unwrap_err();
    assert!(said(&whole[..10]).contains("10 bytes are no logits file of llama.cpp, whose header has 20"));
    let mut other = whole.clone();
    other[3] = b'!';
    assert!(said(&other).contains("does not begin with `_logits_` at byte 0"));
    let bytes = whole.len();
    let cut = said(&whole[..bytes - 1]);
    assert!(cut.contains(&format!("ends at byte {} of {bytes}, after 1 of 2 windows", bytes - 1)), "{cut}");
    let more = said(&[&whole[..], &[0, 0]].concat());
    assert!(more.contains(&format!("2 are left over from byte {bytes} on")), "{more}");
    let mut other = whole.clone();
    other[24..28].copy_from_slice(&7_i32.to_le_bytes());
    assert!(said(&other).contains("id 7 at byte 24 is outside its vocabulary of 5 ids"));
    let mut other = whole.clone();
    other[12..16].copy_from_slice(&(-5_i32).to_le_bytes());
    assert!(said(&other).contains("its header has -5 ids in the vocabulary at byte 12"));
    // A row that is no distribution.
    let mut other = whole.clone();
    let (begin, row) = (20 + 16 * 4, 2 * (4 + 6));
    other[begin + row..begin + row + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let file = open(&other).unwrap();
    assert!(file.row(0).is_ok());
    let damaged = file.row(1).unwrap_err().to_string();
    assert!(damaged.contains(&format!("row 1 (byte {}) has the step NaN", begin + row)), "{damaged}");
    let mut other = whole;
    other[begin + 4..begin + 8].copy_from_slice(&(-0.5_f32).to_le_bytes());
    assert!(open(&other).unwrap().row(0).unwrap_err().to_string().contains("add up to "));
}

#[test]
fn a_file_is_recognised_by_its_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any.name");
    fs::write(&path, written()).unwrap();
    assert!(is_logits_file(&path));
    fs::write(&path, "_logits").unwrap();
    assert!(!is_logits_file(&path) && !is_logits_file(folder.path()));
}
