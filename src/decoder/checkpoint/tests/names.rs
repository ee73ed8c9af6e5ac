//! The names by which a body and a head are found in a checkpoint.

use super::*;

/// As transformers 5.24 finds them, of a text model and of the text model of one that sees images.
#[test]
fn a_body_has_the_names_that_transformers_finds_it_by() {
    const IMAGES: &str = "tests/fixtures/models/gemma3-vision";
    let text = ["model.", "", "model.model."];
    let images = ["language_model.model.", "model.language_model.", "language_model.", "model.language_model.model."];
    for (fixture, own, bodies) in [(TIED, "model.", &text[..]), (IMAGES, "language_model.model.", &images)] {
        let folder = copy(fixture);
        let weights = folder.path().join("model.safetensors");
        let tensors = load(&weights);
        let want = numbers(&Checkpoint::open(folder.path()).unwrap(), &format!("{own}embed_tokens.weight"));
        for body in bodies {
            let of_body = |name: &str| name.strip_prefix(own).map_or(name.to_owned(), |rest| format!("{body}{rest}"));
            save(&renamed(&tensors, of_body), &weights);
            let checkpoint = Checkpoint::open(folder.path()).unwrap();
            assert_eq!(checkpoint.embedding_name(), format!("{body}embed_tokens.weight"));
            assert_eq!(numbers(&checkpoint, &checkpoint.embedding_name()), want);
            let norm = checkpoint.in_body(checkpoint.spec().names.final_norm);
            assert!(checkpoint.tensor(&norm, &[checkpoint.spec().hidden], DType::F32, &Device::Cpu).is_ok());
        }
        save(&renamed(&tensors, |name| name.replace(own, "transformer.")), &weights);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let shape = [checkpoint.spec().vocab, checkpoint.spec().hidden];
        let error = checkpoint.tensor(&checkpoint.embedding_name(), &shape, DType::F32, &Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("embed_tokens.weight`: the config asks for it"), "{error}");
    }
}

/// As transformers 5.24: a tensor that is not under one of the body's prefixes may still be the head.
#[test]
fn a_head_has_the_names_that_transformers_finds_it_by() {
    const IMAGES: &str = "tests/fixtures/models/gemma3-vision";
    let (text, images) = (
        ["lm_head.weight", "model.lm_head.weight"],
        ["lm_head.weight", "model.lm_head.weight", "language_model.lm_head.weight"],
    );
    for (fixture, heads) in [(TIED, &text[..]), (IMAGES, &images)] {
        let folder = copy(fixture);
        let weights = folder.path().join("model.safetensors");
        let tied = load(&weights);
        let embedding = Checkpoint::open(folder.path()).unwrap().embedding_name();
        let other = (tied[&embedding].to_dtype(DType::F32).unwrap() * 1.5).unwrap();
        let with = |names: &[&str]| {
            let mut tensors = tied.clone();
            tensors.extend(names.iter().map(|name| ((*name).to_owned(), other.clone())));
            save(&tensors, &weights);
        };
        for head in heads {
            with(&[head]);
            let checkpoint = Checkpoint::open(folder.path()).unwrap();
            assert!(!checkpoint.spec().tied_head && checkpoint.head_name() == *head, "{head}");
            assert!(checkpoint.notes()[0].contains("is the head, as in transformers 5"), "{:?}", checkpoint.notes());
        }
        with(heads);
        assert!(!Checkpoint::open(folder.path()).unwrap().spec().tied_head, "alike");
        let mut tensors = load(&weights);
        tensors.insert(heads[1].to_owned(), (&other * 2.0).unwrap());
        save(&tensors, &weights);
        let error = described(folder.path());
        assert!(error.contains("are of one weight to transformers, and differ") && error.contains(heads[1]), "{error}");
        // Nothing that transformers would load, and nothing to go on without.
        for name in ["output.weight", "model.language_model.lm_head.weight", "score.weight"] {
            with(&[name]);
            let what = format!("and `{name}` of shape");
            assert!(described(folder.path()).contains(&what), "{}", described(folder.path()));
            let mut tensors = tied.clone();
            tensors.insert(name.to_owned(), tied[&embedding].clone());
            save(&tensors, &weights);
            assert!(!Checkpoint::open(folder.path()).unwrap().unread().contains(&name.to_owned()));
        }
    }
}

#[test]
fn two_names_of_one_weight_are_of_the_same_numbers() {
    let folder = copy(TIED);
    let weights = folder.path().join("model.safetensors");
    let mut tensors = load(&weights);
    let norm = tensors["model.norm.weight"].clone();
    tensors.insert("norm.weight".to_owned(), norm.clone());
    save(&tensors, &weights);
    assert!(!Checkpoint::open(folder.path()).unwrap().unread().contains(&"norm.weight".to_owned()));
    tensors.insert("norm.weight".to_owned(), (norm * 2.0).unwrap());
    save(&tensors, &weights);
    let what = "tensors `model.norm.weight` and `norm.weight` are of one weight to transformers, and differ";
    assert!(described(folder.path()).contains(what), "{}", described(folder.path()));
}
