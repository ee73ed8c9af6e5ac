//! Field names: those of the known shapes, and those in the user's rows.
//!
//! Owns which fields make a shape, and `--fields`. Not here: values (`shapes`).

/// A shape that a row's content has.
pub struct Shape {
    /// The fields that a row of it has.
    pub needs: &'static [&'static str],
    pub kind: Kind,
}

/// How the content of a shape is read.
pub enum Kind {
    Ids,
    /// A sequence of ids, and in `needs[1]` which of them were sampled.
    Masked,
    /// One response to `needs[0]`, in `needs[1]`.
    Text,
    Rollouts,
    Messages,
    Conversations,
    Harness,
}

/// Ids come first: a row that has any is read by them alone, and text next to them only says what they decode to.
pub static SHAPES: [Shape; 10] = [
    Shape { needs: &["prompt_token_ids", "response_token_ids"], kind: Kind::Ids },
    Shape { needs: &["token_ids", "mask"], kind: Kind::Masked },
    Shape { needs: &["token_ids", "loss_mask"], kind: Kind::Masked },
    Shape { needs: &["input", "output"], kind: Kind::Text },
    Shape { needs: &["prompt", "response"], kind: Kind::Text },
    Shape { needs: &["prompt", "completion"], kind: Kind::Text },
    Shape { needs: &["prompt", "responses"], kind: Kind::Rollouts },
    Shape { needs: &["messages"], kind: Kind::Messages },
    Shape { needs: &["conversations"], kind: Kind::Conversations },
    Shape { needs: &["arguments", "resps"], kind: Kind::Harness },
];

/// Why it ended, as servers and evaluations say it. The first that says anything of a response counts, whatever it says: vLLM
/// puts the text that stopped a response into `stop_reason`, next to the `finish_reason`.
pub const REASONS: [&str; 4] = ["finish_reason", "finish_reasons", "stop_type", "stop_reason"];
/// Whether a limit ended it, as trainers say it.
pub const FLAGS: [&str; 3] = ["truncated", "is_truncated", "response_truncated"];

/// Fields that are read where they are.
const OPTIONAL: [&str; 11] = [
    "id",
    "system",
    "tools",
    "chat_template_kwargs",
    REASONS[0],
    REASONS[1],
    REASONS[2],
    REASONS[3],
    FLAGS[0],
    FLAGS[1],
    FLAGS[2],
];

/// Every shape, for a message about a file without one.
pub fn described_shapes() -> String {
    let shape = |shape: &Shape| format!("{{{}}}", shape.needs.join(", "));
    SHAPES.iter().map(shape).collect::<Vec<_>>().join(", ")
}

/// `--fields`: what the fields of a shape are called in the rows at hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldNames(Vec<(&'static str, String)>);

impl FieldNames {
    /// From `NAME=FIELD` each: rows have `FIELD` where a shape has `NAME`.
    ///
    /// # Errors
    /// What is wrong: no such name, one that stands twice, or names that no shape has together.
    pub fn parse(pairs: &[String]) -> Result<Self, String> {
        let mut names = Self::default();
        for pair in pairs {
            let parts = pair.split_once('=').filter(|(_, field)| !field.is_empty());
            let (name, field) = parts.ok_or_else(|| format!("`{pair}`: expected NAME=FIELD, as in input=question"))?;
            let Some(known) = known().find(|known| *known == name) else {
                return Err(format!("`{pair}`: no kind of row has a field `{name}`"));
            };
            if names.0.iter().any(|(other, _)| *other == known) {
                return Err(format!("`{pair}`: `{name}` stands twice"));
            }
            names.0.push((known, field.to_owned()));
        }
        if names.candidates().next().is_none() {
            return Err(format!("`{}`: no kind of row has all of these", pairs.join(",")));
        }
        Ok(names)
    }

    /// The field of a row that has what a shape calls `name`.
    pub fn of<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.iter().find(|(known, _)| *known == name).map_or(name, |(_, field)| field)
    }

    /// Every field that a row may be read from.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        known().map(|name| self.of(name))
    }

    /// Shapes with every field that was named; all of them if none was.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &'static Shape> {
        let has_all = |shape: &&Shape| {
            let is_of_shape = |(name, _): &(&str, String)| OPTIONAL.contains(name) || shape.needs.contains(name);
            self.0.iter().all(is_of_shape)
        };
        SHAPES.iter().filter(has_all)
    }

    /// As they were given.
    pub fn to_words(&self) -> Vec<String> {
        self.0.iter().map(|(name, field)| format!("{name}={field}")).collect()
    }
}

/// The fields of every shape; some are of several.
fn known() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().flat_map(|shape| shape.needs).copied().chain(OPTIONAL)
}
