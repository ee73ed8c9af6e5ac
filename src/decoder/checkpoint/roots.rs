//! Under which prefixes a checkpoint's files store a model's body and head.
//!
//! Owns how transformers finds a weight whose name differs from the model's, and which of two names of one weight
//! applies. A matrix that looks like a head but would stay unused is an error.

use super::{Checkpoint, Source};
use crate::decoder::names::{self, Names};
use crate::error::{Error, Result};

/// What the body's names begin with, and the head's name: the first that is there.
pub(super) fn of(names: &Names, is_stored: impl Fn(&str) -> bool) -> (&'static str, &'static str) {
    let has_body = |body: &&&str| is_stored(&format!("{body}{}", names.embedding));
    let body = names.bodies.iter().find(has_body).unwrap_or(&names.bodies[0]);
    let head = names.heads.iter().find(|head| is_stored(head)).unwrap_or(&names.heads[0]);
    (body, head)
}

impl Checkpoint {
    /// Two tensors that transformers takes for one weight must be the same: it keeps the one that it reads last.
    pub(super) fn fix_names(&self) -> Result<()> {
        let Source::Safetensors(shards) = &self.source else { return Ok(()) };
        let (body, head) = self.root;
        let names = &self.spec.names;
        let others = names.bodies.iter().filter(|other| **other != body);
        let in_body = others.flat_map(|other| {
            let same = move |name: &str| Some((name.to_owned(), format!("{body}{}", name.strip_prefix(other)?)));
            shards.names().filter_map(same)
        });
        let heads = names.heads.iter().map(|other| ((*other).to_owned(), head.to_owned()));
        for (other, name) in in_body.chain(heads).filter(|(other, name)| other != name) {
            if shards.stored(&other).is_none() || shards.stored(&name).is_none() {
                continue;
            }
            if !shards.are_equal(&other, &name)? {
                let what = format!("tensors `{name}` and `{other}` are of one weight to transformers, and differ");
                return Err(Error::file(&self.path, format!("{what}: take out the one that is not the model's")));
            }
            self.count_as_read(other);
        }
        Ok(())
    }

    /// A config may say that the head is the embedding, and the files hold another head: then transformers 5 takes that
    /// one, and transformers 4 the embedding.
    pub(super) fn fix_head(&mut self) -> Result<()> {
        let (head, embedding) = (self.head_name().to_owned(), self.embedding_name());
        let Source::Safetensors(shards) = &self.source else { return Ok(()) };
        if !self.spec.tied_head || head == embedding || shards.stored(&head).is_none() {
            return Ok(());
        }
        if shards.are_equal(&head, &embedding)? {
            self.count_as_read(head);
            return Ok(());
        }
        self.spec.tied_head = false;
        self.notes.push(format!(
            "`tie_word_embeddings` is true, but `{head}` is there and is not `{embedding}`: `{head}` is the head, as in \
             transformers 5 (4.x takes the embedding)"
        ));
        Ok(())
    }

    /// Where the head is the embedding, no other matrix of its shape may be left: it would be a head that stays unused,
    /// whatever its name.
    pub(super) fn reject_other_heads(&self) -> Result<()> {
        let Source::Safetensors(shards) = &self.source else { return Ok(()) };
        let (embedding, shape) = (self.embedding_name(), [self.spec.vocab, self.spec.hidden]);
        if !self.spec.tied_head || shards.stored(&embedding).is_none() {
            return Ok(());
        }
        let layers = self.in_body(self.spec.names.layers);
        let read = self.read.lock().map(|read| read.clone()).unwrap_or_default();
        let is_left = |name: &&str| {
            *name != embedding && !name.starts_with(&layers) && !read.contains(*name) && !names::is_redundant(name)
        };
        let is_head = |name: &&str| shards.stored(name).is_some_and(|stored| stored.shape == shape);
        for name in shards.names().filter(is_left).filter(is_head) {
            if !shards.are_equal(name, &embedding)? {
                let what =
                    format!("`tie_word_embeddings` makes `{embedding}` the head, and `{name}` of shape {shape:?}");
                let what =
                    format!("{what} would be left unread: call it `{}` if it is the head, else", self.head_name());
                return Err(Error::file(&self.path, format!("{what} take it out")));
            }
            self.count_as_read(name.to_owned());
        }
        Ok(())
    }

    fn count_as_read(&self, name: String) {
        if let Ok(mut read) = self.read.lock() {
            read.insert(name);
        }
    }
}
