//! The names of Jinja2's filters and tests.
//!
//! Owns these lists. Not here: applying them (`filters`, `tests`).

const FILTERS: &str = " abs attr batch capitalize center count d default dictsort e escape filesizeformat first float \
    forceescape format groupby indent int join last length list lower items map min max pprint random reject rejectattr \
    replace reverse round safe select selectattr slice sort string striptags sum title trim truncate unique upper \
    urlencode urlize wordcount wordwrap xmlattr tojson ";

const TESTS: &str = " odd even divisibleby defined undefined filter test none boolean false true integer float lower upper \
    string mapping number sequence iterable callable sameas escaped in == eq equalto != ne > gt greaterthan ge >= < lt \
    lessthan <= le ";

pub fn is_filter(name: &str) -> bool {
    stands_in(FILTERS, name)
}

pub fn is_test(name: &str) -> bool {
    stands_in(TESTS, name)
}

fn stands_in(names: &str, name: &str) -> bool {
    names.split(' ').any(|known| known == name && !name.is_empty())
}
