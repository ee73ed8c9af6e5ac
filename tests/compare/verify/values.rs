//! Numbers and lists that no engine gives.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, ListArray, UInt32Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type, UInt32Type};
use serde_json::json;

use super::damage::{change, damaged, expect, f32s, file, of_part};

#[test]
fn a_number_out_of_range_is_told_with_its_row() {
    for (column, value, found) in [
        ("entropy", f32::NAN, "entropy is NaN"),
        ("entropy", -0.5, "entropy is -0.5"),
        ("entropy", 30.0, "entropy is 30"),
        ("min_logprob", 0.0, "min_logprob is 0, above"),
        ("logit", f32::NAN, "logit is NaN"),
    ] {
        let report = damaged(|scene| change(scene, "tokens", column, |_, of_column| f32s(of_column, |_| value)));
        expect(&report, "value", 1, &file("tokens", "tied", 0), found, &of_part("tied"));
        assert_eq!(report["problems"][0]["first"][0]["row"], 7);
        assert_eq!(report["problems"][0]["first"][0]["sample_id"], 0);
    }
    let report = damaged(|scene| change(scene, "tokens", "rest_logprob", |_, rest| f32s(rest, |x| x + 0.01)));
    expect(&report, "mass", 1, &file("tokens", "tied", 0), "add up to 1.", &of_part("tied"));
}

#[test]
fn a_log_probability_must_be_that_of_the_list_and_of_the_mean() {
    let report = damaged(|scene| change(scene, "tokens", "logprob", |_, logprob| f32s(logprob, |_| 0.25)));
    let kinds: Vec<&str> =
        report["problems"].as_array().unwrap().iter().map(|problem| problem["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"value") && kinds.contains(&"mean"), "{report:#}");
    let report = damaged(|scene| {
        change(scene, "samples", "mean_logprob", |_, mean| {
            let mean = mean.as_primitive::<Float64Type>().iter().enumerate();
            Arc::new(mean.map(|(row, x)| if row == 3 { x.map(|x| x * 1.001) } else { x }).collect::<Float64Array>())
        });
    });
    let problem = &report["problems"][0];
    assert_eq!((&problem["kind"], &problem["first"][0]["sample_id"]), (&json!("mean"), &json!(3)), "{report:#}");
}

#[test]
fn a_rank_must_fit_the_list() {
    for value in [0, 200] {
        let report = damaged(|scene| {
            change(scene, "tokens", "rank", |batch, rank| {
                let lists = batch["top_ids"].as_list::<i32>();
                let id = batch["token_id"].as_primitive::<UInt32Type>();
                let listed =
                    |row: usize| lists.value(row).as_primitive::<UInt32Type>().values().contains(&id.value(row));
                let row = (0..lists.len()).find(|&row| listed(row)).unwrap();
                let ranks = rank.as_primitive::<UInt32Type>().iter().enumerate();
                Arc::new(ranks.map(|(at, x)| if at == row { Some(value) } else { x }).collect::<UInt32Array>())
            });
        });
        assert!(report.to_string().contains(&format!("rank is {value}")), "{report:#}");
        assert_eq!(report["redo"], json!(of_part("tied")));
    }
}

/// Lists of row 7 with their values changed.
fn lists<T: arrow::array::ArrowPrimitiveType>(column: &ArrayRef, change: impl Fn(&mut [T::Native])) -> ArrayRef {
    let lists = column.as_list::<i32>();
    let mut values = lists.values().as_primitive::<T>().values().to_vec();
    let offsets = lists.value_offsets();
    change(&mut values[offsets[7] as usize..offsets[8] as usize]);
    let DataType::List(item) = lists.data_type() else { panic!("no list") };
    let values = arrow::array::PrimitiveArray::<T>::from_iter_values(values);
    Arc::new(ListArray::new(item.clone(), lists.offsets().clone(), Arc::new(values), None))
}

#[test]
fn a_list_must_be_one() {
    let path = file("tokens", "tied", 0);
    let ascending = damaged(|scene| {
        change(scene, "tokens", "top_logprobs", |_, lists_| lists::<Float32Type>(lists_, |x| x.swap(18, 19)));
    });
    expect(&ascending, "list", 1, &path, "top_logprobs ascend", &of_part("tied"));
    let twice = damaged(|scene| {
        change(scene, "tokens", "top_ids", |_, lists_| lists::<UInt32Type>(lists_, |x| x[19] = x[18]));
    });
    expect(&twice, "list", 1, &path, "twice", &of_part("tied"));
}

#[test]
fn what_is_unknown_in_one_row_only_is_told() {
    let path = file("tokens", "tied", 0);
    for column in ["logprob", "entropy"] {
        let report = damaged(|scene| {
            change(scene, "tokens", column, |_, values| {
                let values = values.as_primitive::<Float32Type>().iter().enumerate();
                Arc::new(values.map(|(row, x)| x.filter(|_| row != 7)).collect::<Float32Array>())
            });
        });
        let problem = &report["problems"][0];
        assert_eq!((&problem["kind"], &problem["first"][0]["file"]), (&json!("value"), &json!(path)), "{report:#}");
        assert!(problem["first"][0]["found"].as_str().unwrap().starts_with(&format!("{column} is null")), "{report:#}");
    }
}

/// The engine fills every column and every list, within its vocabulary.
#[test]
fn what_the_engine_promises_must_be_there() {
    let report = damaged(|scene| {
        change(scene, "tokens", "rank", |_, rank| Arc::new(UInt32Array::from(vec![None; rank.len()])));
    });
    assert!(report["problems"][0]["first"][0]["found"].as_str().unwrap().contains("rank is null"), "{report}");
    let report = damaged(|scene| change(scene, "tokens", "entropy", |_, x| f32s(x, |_| 6.0)));
    assert!(report["problems"][0]["first"][0]["found"].as_str().unwrap().contains("entropy is 6, outside"), "{report}");
}
