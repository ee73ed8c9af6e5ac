use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use half::bf16;
use tempfile::TempDir;

use super::*;
use crate::error::Result;
use crate::made;
use crate::sample::Sample;
use crate::stored::StoredFile;

const SHAPE: Shape = Shape { dtype: Float::Bf16, width: 3 };
/// What a header has to escape, and the key of the hash.
const ORIGIN_TOLD: &str = "{\"model\": \"a\\ü\n tokshift.blake3\"}";

/// A sample of `tokens` response tokens, the first of them with nothing before it if `bare`.
fn sample(sample_id: u32, tokens: u32, bare: bool) -> Sample {
    let first = u32::from(!bare);
    made::sample(sample_id, (0..first + tokens).collect(), first)
}

/// A sealed file of two samples; row r contains r, r + 0.5 and −r.
fn write(folder: &TempDir) -> PathBuf {
    let samples = [sample(4, 2, false), sample(9, 3, true)];
    let layout = Layout::new(SHAPE, ORIGIN_TOLD.to_owned(), samples.iter());
    let path = folder.path().join("part-00000000.safetensors");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.write_all(&layout.head()).unwrap();
    let mut row = 0;
    for (place, sample) in samples.iter().enumerate() {
        let values = (0..rows_of(sample)).flat_map(|_| {
            let r = row as f32;
            row += 1;
            [r, r + 0.5, -r].map(bf16::from_f32)
        });
        let values: Vec<bf16> = values.collect();
        let (at, bytes) = layout.span(place);
        assert_eq!(bytes, size_of_val(&values[..]));
        file.write_all_at(bytemuck::cast_slice(&values), at).unwrap();
    }
    assert_eq!(file.metadata().unwrap().len(), layout.bytes());
    seal(&file, &path, Some(&"7".repeat(64))).unwrap();
    path
}

fn open(path: &Path) -> Result<Reader> {
    Reader::new(StoredFile::new(File::open(path).unwrap(), path)?)
}

fn error(path: &Path) -> String {
    open(path).unwrap_err().to_string()
}

#[test]
fn what_was_written_comes_back() {
    let folder = TempDir::new().unwrap();
    let reader = open(&write(&folder)).unwrap();
    assert_eq!(reader.shape(), SHAPE);
    assert_eq!(reader.origin(), ORIGIN_TOLD);
    assert!(
        reader.is_beside(Some(&"7".repeat(64))) && !reader.is_beside(Some(&"8".repeat(64))) && reader.is_beside(None)
    );
    assert_eq!(reader.index().sample_id, [4, 4, 4, 9, 9, 9]);
    assert_eq!(reader.index().position, [0, 1, 2, 1, 2, 3], "the token with nothing before it has no row");
    assert_eq!(reader.read(1..3).unwrap(), [1.0, 1.5, -1.0, 2.0, 2.5, -2.0]);
}

#[test]
fn others_read_it_as_safetensors() {
    let folder = TempDir::new().unwrap();
    let all = candle_core::safetensors::load(write(&folder), &candle_core::Device::Cpu).unwrap();
    assert_eq!((all[HIDDEN].dims(), all[HIDDEN].dtype()), (&[6, 3][..], candle_core::DType::BF16));
    assert_eq!(all[POSITION].to_vec1::<u32>().unwrap(), [0, 1, 2, 1, 2, 3]);
    assert_eq!(all.len(), 3);
}

#[test]
fn a_flipped_bit_a_cut_and_another_file_are_rejected() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder);
    let bytes = std::fs::read(&path).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &flipped).unwrap();
        assert!(open(&path).is_err(), "bit {bit}");
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(error(&path).contains("have changed since it was written"), "{}", error(&path));
    for junk in [&b""[..], b"junk", &[0xff; 200]] {
        std::fs::write(&path, junk).unwrap();
        assert!(error(&path).contains("no hash of itself"), "{}", error(&path));
    }
}

/// Whoever can write a file can seal it, too.
#[test]
fn a_sealed_file_that_says_nonsense_is_rejected() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder);
    let bytes = std::fs::read(&path).unwrap();
    let reseal = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        seal(&file, &path, None).unwrap();
    };
    let replace = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut changed = bytes.clone();
        changed[at..at + to.len()].copy_from_slice(to.as_bytes());
        changed
    };
    let changes = [
        ("[6,3]", "[9,2]"),
        ("\"BF16\"", "\"F64\" "),
        ("position", "Position"),
        ("\"U32\"", "\"I32\""),
        ("tokshift.part", "tokshift.Part"),
        ("tokshift.tokens", "tokshift.Tokens"),
    ];
    for (from, to) in changes {
        reseal(&replace(from, to));
        assert!(error(&path).contains("not a hidden-state file of tokshift"), "{from}: {}", error(&path));
    }
    reseal(&[&bytes[..], b"more"].concat());
    assert!(error(&path).contains("its header lists"), "{}", error(&path));
    let mut nan = bytes.clone();
    let end = nan.len();
    nan[end - 2..].copy_from_slice(&bf16::NAN.to_le_bytes());
    reseal(&nan);
    let described = open(&path).unwrap().read(0..6).unwrap_err().to_string();
    assert!(described.ends_with("row 5 holds NaN"), "{described}");
}
