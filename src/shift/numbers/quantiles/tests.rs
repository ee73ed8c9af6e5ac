use proptest::prelude::*;

use super::*;

fn exact(rows: &[(u32, f64)], clusters: usize) -> Vec<Quantile> {
    let mut values = Values::with_capacity(rows.len() as u64);
    for (cluster, value) in rows {
        values.push(*cluster, *value);
    }
    values.quantiles(clusters)
}

fn binned(rows: &[(u32, f64)], clusters: usize) -> Vec<Quantile> {
    let mut histogram = Histogram::default();
    for (_, value) in rows {
        histogram.push(*value);
    }
    with_cuts(&histogram, histogram.cuts(), rows, clusters)
}

fn with_cuts(histogram: &Histogram, cuts: CutPoints, rows: &[(u32, f64)], clusters: usize) -> Vec<Quantile> {
    let mut below = Below::new(cuts, clusters);
    for (cluster, value) in rows {
        below.push(*cluster, *value);
    }
    histogram.quantiles(&below)
}

fn named(quantiles: &[Quantile], name: &str) -> Estimate {
    quantiles.iter().find(|q| q.name == name).unwrap().estimate
}

#[test]
fn linear_at_f_times_n_minus_one() {
    // numpy.quantile([-2, -1, 0, 1, 4], f).
    let rows = [(0, 4.0), (0, -1.0), (1, 0.0), (1, -2.0), (1, 1.0)];
    let quantiles = exact(&rows, 2);
    let expected = [
        ("min", -2.0),
        ("q0.05", -1.8),
        ("q0.10", -1.6),
        ("median", 0.0),
        ("q0.90", 2.8),
        ("q0.999", 3.988),
        ("max", 4.0),
    ];
    for (name, value) in expected {
        assert!((named(&quantiles, name).value - value).abs() < 1e-12, "{name}");
    }
    assert_eq!((quantiles.len(), named(&quantiles, "min").n, named(&quantiles, "min").clusters), (13, 5, 2));
    assert_eq!(named(&quantiles, "max").low, None);
}

#[test]
fn intervals_invert_the_distribution_function() {
    // 1..=100, each a cluster: F(50.5) = 0.5 with error √(100/99 · 100 · ¼) / 100 = 0.050252; t of 99 is 1.984217.
    let rows: Vec<_> = (0..100).map(|i| (i, f64::from(i + 1))).collect();
    let median = named(&exact(&rows, 100), "median");
    let reach = 99.0 * 1.984_216_951_508_641_8 * (100.0 / 99.0 * 25.0f64).sqrt() / 100.0;
    assert_eq!(median.value, 50.5);
    assert!(
        (median.low.unwrap() - (50.5 - reach)).abs() < 1e-9 && (median.high.unwrap() - (50.5 + reach)).abs() < 1e-9
    );
    // Nothing bounds the 0.001 quantile of a hundred values from below.
    let lowest = named(&exact(&rows, 100), "q0.01");
    assert!(lowest.low.is_none() && lowest.high.is_some() && lowest.stderr.is_none());
}

#[test]
fn rows_of_a_cluster_that_are_the_same_add_nothing() {
    let once: Vec<_> = (0..50).map(|i| (i, f64::from(i * i))).collect();
    let often: Vec<_> = once.iter().flat_map(|row| [*row; 8]).collect();
    let (once, often) = (named(&exact(&once, 50), "median"), named(&exact(&often, 50), "median"));
    assert!((often.stderr.unwrap() / once.stderr.unwrap() - 1.0).abs() < 0.1, "{once:?} {often:?}");
}

/// CutPoints of a tenth of the clusters give the quantiles themselves, and errors within a few percent of them.
#[test]
fn cuts_may_be_those_of_some_of_the_values() {
    // Values of a cluster are alike: each is a wave of its own and of its cluster's.
    let value = |cluster: u32, i: u32| (f64::from(cluster) * 1.7).sin() + (f64::from(i * 37 + cluster) * 0.61).sin();
    let rows: Vec<_> = (0..2000).flat_map(|cluster| (0..20).map(move |i| (cluster, value(cluster, i)))).collect();
    let of = |rows: &[(u32, f64)]| {
        let mut histogram = Histogram::default();
        for (_, value) in rows {
            histogram.push(*value);
        }
        histogram
    };
    let whole = of(&rows);
    let some: Vec<_> = rows.iter().copied().filter(|(cluster, _)| cluster % 10 == 3).collect();
    let cuts = of(&some).cuts();
    assert_ne!(cuts, whole.cuts());
    let own = with_cuts(&whole, whole.cuts(), &rows, 2000);
    for (found, own) in with_cuts(&whole, cuts, &rows, 2000).iter().zip(&own) {
        let (found, own) = (found.estimate, own.estimate);
        assert_eq!((found.value, found.n, found.clusters), (own.value, own.n, own.clusters));
        if let Some((found, own)) = found.stderr.zip(own.stderr) {
            assert!((found / own - 1.0).abs() < 0.06, "{found} for {own}");
        }
    }
    assert!(own.iter().filter(|quantile| quantile.estimate.stderr.is_some()).count() >= 9);
}

#[test]
fn the_infinite_are_kept_and_what_is_no_number_is_not() {
    let rows = [(0, f64::NAN), (0, f64::NEG_INFINITY), (1, 0.0), (1, -0.0), (2, f64::INFINITY)];
    for quantiles in [exact(&rows, 3), binned(&rows, 3)] {
        let value = |name| named(&quantiles, name).value;
        assert_eq!([value("min"), value("median"), value("max")], [f64::NEG_INFINITY, 0.0, f64::INFINITY]);
        assert_eq!(named(&quantiles, "median").n, 4);
    }
    assert_eq!(exact(&[(0, f64::NAN)], 1), []);
    assert_eq!(binned(&[], 0), []);
}

proptest! {
    #[test]
    fn keys_sort_as_values(a in any::<f64>(), b in any::<f64>()) {
        prop_assume!(!a.is_nan() && !b.is_nan());
        prop_assert_eq!(a.partial_cmp(&b).unwrap(), key(a).cmp(&key(b)));
        prop_assert_eq!(value(key(a)), a);
        prop_assert!(!a.is_normal() || (inside(bin(a), 0.5) / a - 1.0).abs() <= 0.004);
    }
}

proptest! {
    // Each case fills a histogram.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_histogram_is_within_half_a_percent(
        rows in prop::collection::vec((0u32..9, prop_oneof![Just(0.0), 1e-9..1e-3, -5.0..5.0f64, 0.0..1e5]), 1..200),
    ) {
        for (a, b) in exact(&rows, 9).iter().zip(&binned(&rows, 9)) {
            prop_assert_eq!((&a.name, a.estimate.n, a.estimate.clusters), (&b.name, b.estimate.n, b.estimate.clusters));
            let mut sorted: Vec<f64> = rows.iter().map(|r| r.1).collect();
            sorted.sort_by(f64::total_cmp);
            // Between two values the error is that of the larger of them.
            let f = QUANTILES.iter().find(|q| q.0 == a.name).unwrap().1 * (rows.len() - 1) as f64;
            let around = sorted[f as usize].abs().max(sorted[f.ceil() as usize].abs());
            prop_assert!((a.estimate.value - b.estimate.value).abs() <= 0.005 * around, "{:?} {:?}", a, b);
        }
    }
}
