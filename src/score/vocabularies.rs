//! Whether all models have the same texts for the same ids.
//!
//! Owns the comparison of each model's own tokenizer with the one that makes the ids. A model that would read other
//! texts than its ids were made from is an error. Of a model without a tokenizer, or with an unreadable one, nothing
//! is known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::models::Model;
use super::named::tokenizer_of;
use super::watch::{Event, Watch};
use crate::digest;
use crate::error::{Error, Result};
use crate::gguf::is_gguf;
use crate::tokenize::{TOKENIZER_FILES, TextTokenizer};

/// Tokens that may be called otherwise: as many as a fine-tune renames of what its base keeps in reserve.
const RENAMED: usize = 16;
/// Ids that a message shows.
const SHOWN: usize = 2;

/// What is known of a model's own vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// BLAKE3 of the text of every id.
    pub digest: String,
    /// Ids whose text is another in the tokenizer that makes the ids.
    pub other_texts: Vec<u32>,
}

/// By the path of each model that has a tokenizer.
pub type Vocabularies = BTreeMap<PathBuf, Vocabulary>;

/// A model whose tokenizer has the same ids for other texts, and what to do.
pub type Rejected<'a> = (&'a Model, Error);

/// Compares every model's tokenizer with `tokenizer`, which was read from `chosen`; a model that cannot be given its ids is in
/// no other's way.
pub fn compare<'a>(
    models: &[&'a Model],
    chosen: &Path,
    tokenizer: &TextTokenizer,
    watch: &dyn Watch,
) -> (Vocabularies, Vec<Rejected<'a>>) {
    let (mut found, mut rejected) = (Vocabularies::new(), Vec::new());
    for model in models.iter().filter(|model| model.vocab().is_some()) {
        let path = &model.named.path;
        let own = tokenizer_of(path);
        if found.contains_key(path) || !own.is_file() {
            continue;
        }
        if is_same(&own, chosen) {
            found.insert(path.clone(), Vocabulary { digest: tokenizer.vocabulary(), other_texts: Vec::new() });
            continue;
        }
        match TextTokenizer::from_file(&own).map(|own| of_model(model, &own, (chosen, tokenizer), watch)) {
            Ok(Ok(vocabulary)) => drop(found.insert(path.clone(), vocabulary)),
            Ok(Err(why)) => rejected.push((*model, why)),
            // --tokenizer stands in for one that is broken, or of a kind that is not known.
            Err(e) => watch.event(&Event::Warning(&unread(&model.named.name, &e))),
        }
    }
    (found, rejected)
}

/// What is said of a model whose own tokenizer cannot be read.
fn unread(name: &str, why: &Error) -> String {
    format!(
        "nothing says whether `{name}` reads the ids as the texts that they were made of, as its own tokenizer cannot be \
         read: {why}. Where the model has another tokenizer, put it there"
    )
}

fn of_model(
    model: &Model,
    own: &TextTokenizer,
    (chosen, tokenizer): (&Path, &TextTokenizer),
    watch: &dyn Watch,
) -> Result<Vocabulary> {
    let name = &model.named.name;
    let differing = tokenizer.other_texts(own);
    let example =
        |&(id, _): &(u32, bool)| format!("{id} is {:?} there and {:?} here", own.text_of(id), tokenizer.text_of(id));
    let examples: Vec<String> = differing.iter().take(SHOWN).map(example).collect();
    if differing.len() > RENAMED || differing.iter().any(|(_, is_added)| !is_added) {
        return Err(Error::usage(format!(
            "`{name}` reads {} ids as other texts: its tokenizer is `{}`, the ids are made by `{}` (id {}). Score it with \
             its own into another --output-dir, and compare the two with `kl --align text --other-dir`",
            differing.len(),
            tokenizer_of(&model.named.path).display(),
            chosen.display(),
            examples.join("; ")
        )));
    }
    if !differing.is_empty() {
        let ids: Vec<String> = differing.iter().map(|(id, _)| id.to_string()).collect();
        let text = format!(
            "`{name}` calls {} special tokens otherwise than the tokenizer in use: ids {} (id {})",
            differing.len(),
            ids.join(", "),
            examples.join("; ")
        );
        watch.event(&Event::Warning(&text));
    }
    if own.prefix() != tokenizer.prefix() {
        let text = format!(
            "the tokenizer of `{name}` starts every sequence with ids {:?}, the one in use with {:?}",
            own.prefix(),
            tokenizer.prefix()
        );
        watch.event(&Event::Warning(&text));
    }
    Ok(Vocabulary { digest: own.vocabulary(), other_texts: differing.into_iter().map(|(id, _)| id).collect() })
}

/// Whether both tokenizers are made of the same files.
fn is_same(own: &Path, chosen: &Path) -> bool {
    let files = |path: &Path| -> Vec<Option<String>> {
        let all = TOKENIZER_FILES.iter().map(|name| digest::file(&path.with_file_name(name)).ok());
        if is_gguf(path) { vec![digest::file(path).ok()] } else { all.collect() }
    };
    own == chosen
        || is_gguf(own) == is_gguf(chosen) && own.file_name() == chosen.file_name() && files(own) == files(chosen)
}
