//! Limits: work without end, large templates, and what identifies a template.

use std::time::{Duration, Instant};

use super::{model, user};
use crate::common::Scene;
use serde_json::json;
use tokshift::template::{ChatTemplate, NaiveDate, SpecialTokens};

#[test]
fn work_without_end_is_an_error() {
    for source in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set ns = namespace(x='x') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{{ [] * 10000000000 }}{% for a in [1] * 10000000000 %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        "{% set a = 'x' * 1000000 %}{{ a.replace('x', a) }}",
        "{% set ns = namespace(x=[]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "{{ [[1]] | tojson(indent=1000000000) }}",
        "{{ strftime_now('%Q') }}",
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}\
         {% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
        "{% set ns = namespace(a=(1,)) %}{% for i in range(40) %}{% set ns.a = (ns.a, ns.a) %}{% endfor %}{{ {ns.a: 1} }}",
        "{% set x = 'a' * 30000000 %}{{ x.strip('b' * 30000000 ~ 'a') | length }}",
        "{{ ('a' * 33000000) | sort | length }}",
        "{{ 'ΟΣ' | capitalize }}",
        // Parts are paid for one by one, before they are made.
        "{{ (',' * 3000000).split(',') | length }}",
        "{{ (', ' * 3000000).rsplit() | length }}",
        "{{ ('\\n' * 3000000).splitlines() | length }}",
    ] {
        let got = model(&Scene::new(), source).render(&json!([user("x")]), None, true);
        assert!(got.is_err(), "{source}");
    }
    let said = model(&Scene::new(), "{{ raise_exception('x' * 100000) }}").render(&json!([user("x")]), None, true);
    assert!(said.unwrap_err().len() < 1000);
}

/// Each `if` looked at every name that was known, and each name at every variable: five minutes, and two seconds.
#[test]
fn large_templates_are_read_and_rendered_in_time() {
    let many = |count: usize, one: fn(usize) -> String| (0..count).map(one).collect::<String>();
    let ifs = many(45_000, |n| format!("{{% if a{n} %}}{{% set b{n} = 1 %}}{{% elif c %}}x{{% endif %}}"));
    let sets = many(40_000, |n| format!("{{% set d{n} = {n} %}}"));
    let seen = many(40_000, |n| format!("{{{{ d{n} }}}}"));
    let start = Instant::now();
    let text = model(&Scene::new(), &[ifs, sets, seen].concat()).render(&json!([user("x")]), None, true).unwrap();
    assert_eq!(text, many(40_000, |n| n.to_string()));
    assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
}

#[test]
fn the_identity_tells_all_that_decides_a_rendering() {
    let scene = Scene::new();
    let identity = |template: &str| model(&scene, template).identity();
    assert_eq!(identity("a"), identity("a"));
    assert_ne!(identity("a"), identity("b"));
    let other = NaiveDate::from_ymd_opt(2025, 1, 2).unwrap();
    assert_eq!(model(&scene, "a").with_date(other).identity(), identity("a"));
    let dated = "{{ strftime_now('%d %B %Y') }}";
    assert_ne!(model(&scene, dated).with_date(other).identity(), identity(dated));
    let text = model(&scene, dated).with_date(other).render(&json!([user("x")]), None, false).unwrap();
    assert_eq!(text, "02 January 2025");
    let path = scene.write("a.jinja", "a");
    let without_tokens = ChatTemplate::from_file(&path, SpecialTokens::default()).unwrap();
    assert_ne!(without_tokens.identity(), identity("a"));
}
