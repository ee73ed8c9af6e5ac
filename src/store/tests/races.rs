//! Tests of processes that write the same cell, or the same file made from it, at once.

use std::thread;

use super::*;

/// Ten threads with two opinions about top-k publish a part each, while no other process does: one opinion wins, and
/// all of its threads.
#[test]
fn one_manifest_wins_a_race() {
    for _ in 0..20 {
        let root = TempDir::new().unwrap();
        let store = open(&root);
        let run = |i: u32| {
            let mut mine = manifest("m");
            mine.engine.top_k = 10 + i as usize % 2;
            let cell = store.cell(&cell("m"), &mine)?;
            loop {
                match cell.lock() {
                    Err(Error::Busy { .. }) => thread::yield_now(),
                    locked => break locked?,
                }
            }
            let mut writer = cell.begin(i)?;
            writer.write(&batch(i), &batch(i))?;
            writer.commit().map(|_| mine.engine.top_k)
        };
        let outcomes: Vec<Result<usize>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..10).map(|i| scope.spawn(move || run(i))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let path = root.path().join(format!("runs/{PLACE}/manifest.json"));
        let winner = Manifest::read(&path).unwrap().engine.top_k;
        for (i, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(top_k) => assert_eq!(top_k, winner),
                Err(error) => {
                    assert!(matches!(error, Error::Mismatch { ref field, .. } if field == "--top-k"), "{error}");
                    assert_ne!(10 + i % 2, winner);
                }
            }
        }
        assert_eq!(files(&root).len(), 2 + 2 * 5);
    }
}

/// A part that is scored again and again, and measures that are made of its tables meanwhile: those that stay are of
/// the tables that are there, and samples and tokens are of one run.
#[test]
fn pairs_never_outlive_their_tokens() {
    let root = TempDir::new().unwrap();
    let store = open(&root);
    let of = |model: &str| {
        let mut manifest = manifest(model);
        manifest.out = "parquet".to_owned();
        store.cell(&cell(model), &manifest).unwrap()
    };
    let score = |cell: &CellStore, value: u32| {
        let mut writer = cell.begin(0).unwrap();
        writer.write(&batch(value), &batch(value)).unwrap();
        writer.commit().unwrap();
    };
    let (p, q) = (of("p"), of("q"));
    for cell in [&p, &q] {
        cell.lock_alone().unwrap();
        score(cell, 0);
    }
    let [generation_model, task] = ["rl", "demo"].map(str::to_owned);
    let pair = PairManifest {
        format_version: crate::schema::FORMAT_VERSION,
        generation_model,
        task,
        p: "p".to_owned(),
        q: "q".to_owned(),
        temperature: 1.0,
        stop: Vec::new(),
        of_p: String::new(),
        of_q: String::new(),
    };
    let pairs = store.pair(&pair).unwrap();
    let tokens = |model: &str| {
        root.path().join(format!("tokens/generation_model=rl/task=demo/model={model}/part-00000000.parquet"))
    };
    let hashes = || ["p", "q"].map(|model| ResultFile::at(tokens(model)).footer().ok()?.1);
    let path = root.path().join("pairs/generation_model=rl/task=demo/p=p/q=q/part-00000000.parquet");
    let [mut published, mut rejected] = [0, 0];
    for round in 0..50 {
        thread::scope(|scope| {
            scope.spawn(|| (0..4).for_each(|i| score(&q, 10 * round + i)));
            for _ in 0..4 {
                let of = hashes();
                match of.iter().all(Option::is_some).then(|| pairs.publish(0, &batch(0), of)) {
                    Some(Ok(())) => published += 1,
                    _ => rejected += 1,
                }
            }
        });
        let of = hashes();
        if path.exists() {
            assert_eq!(ResultFile::at(&path).footer().unwrap().0.unwrap().tokens, of);
        }
        for model in ["p", "q"] {
            let (tokens, samples) = (tokens(model), tokens(model).to_str().unwrap().replace("/tokens/", "/samples/"));
            let named = ResultFile::at(&tokens).footer().unwrap().0.unwrap().samples;
            assert_eq!(named, ResultFile::at(&samples).footer().unwrap().1);
        }
        pairs.publish(0, &batch(0), of).unwrap();
    }
    assert!(published + rejected == 200);
}
