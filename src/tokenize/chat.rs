//! Chats to samples: one for each assistant turn.
//!
//! Owns what becomes of a turn's text. How a model is shown the messages is never guessed: its chat template says so.

use super::{Audit, Boundary, TextTokenizer};
use crate::dataset::Content;
use crate::sample::{Sample, Status};
use crate::template::{self, ChatTemplate, Kwargs, Rendering, Turn};

impl TextTokenizer {
    /// The same tokenizer with the template that chats are rendered by.
    #[must_use]
    pub fn with_template(mut self, template: Option<ChatTemplate>) -> Self {
        self.template = template;
        self.around = std::sync::OnceLock::new();
        self
    }

    /// The same tokenizer, for responses alone: what the chat template writes before them is read by `own`. Prompt and response
    /// are then two texts ([`Boundary::Separate`]).
    #[must_use]
    pub fn with_prompts_by(mut self, own: Option<Self>) -> Self {
        self.of_prompts = own.map(Box::new);
        self
    }

    /// What reads that which the template writes: prompts, and the token that ends a turn.
    fn of_prompts(&self) -> &Self {
        self.of_prompts.as_deref().unwrap_or(self)
    }

    /// What chats are rendered by.
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.template.as_ref()
    }

    /// Fills `samples`, one a turn, from a chat; the ids of the first prompt alone, as far as there are any.
    pub(super) fn fill_chat(
        &self,
        samples: &mut [Sample],
        chat: &Content,
        boundary: Boundary,
        audit: &mut Audit,
    ) -> Option<Vec<u32>> {
        let turns = self.turns(chat, audit).and_then(|turns| match turns.len() {
            all if all == samples.len() => Ok(turns),
            all => Err(format!("the chat has {all} turns, {} were counted", samples.len())),
        });
        let turns = match turns {
            Ok(turns) => turns,
            Err(reason) => {
                for sample in samples {
                    sample.fail(Status::Failed, reason.as_str());
                }
                return None;
            }
        };
        let mut first = None;
        // `finish_reason` is about the last turn: earlier ones ended, or there would be no answer to them.
        let (said, last) = (if let Content::Chat { cut, .. } = chat { *cut } else { None }, samples.len() - 1);
        for (index, (sample, turn)) in samples.iter_mut().zip(turns).enumerate() {
            audit.partial += u64::from(turn.rendering == Rendering::Partial);
            audit.raw += u64::from(turn.rendering == Rendering::Raw);
            sample.is_cut = said.map(|cut| cut && index == last);
            match self.fill_turn(sample, turn, boundary) {
                Ok(requested) => first = first.or(Some(requested)),
                Err(reason) => sample.fail(Status::Failed, reason),
            }
        }
        first
    }

    fn turns(&self, chat: &Content, audit: &mut Audit) -> Result<Vec<Turn>, String> {
        let Content::Chat { messages, tools, kwargs, before, .. } = chat else {
            return Err("the row is no chat".to_owned());
        };
        let template = self.template.as_ref().ok_or("a row of messages needs a chat template")?;
        let messages = template::json(messages).map_err(|e| format!("the messages cannot be read: {e}"))?;
        let tools = tools.as_deref().map(template::tools).transpose()?.flatten();
        let kwargs =
            kwargs.as_deref().map(Kwargs::parse).transpose().map_err(|e| format!("chat_template_kwargs: {e}"))?;
        let turns = template.turns_with(&messages, tools.as_ref(), &kwargs.unwrap_or_default(), *before)?;
        audit.nulls += if template::has_null_fields(&messages) { turns.len() as u64 } else { 0 };
        Ok(turns)
    }

    /// A rendered text has its BOS, if the template writes one: none is added. Returns the ids of the prompt alone,
    /// because what a template writes between it and the content may depend on the content.
    fn fill_turn(&self, sample: &mut Sample, turn: Turn, boundary: Boundary) -> Result<Vec<u32>, String> {
        let own = &self.of_prompts().tokenizer;
        if own.get_encode_special_tokens() {
            return Err(
                "`split_special_tokens` has the tokenizer split the tokens that end and begin turns: no chat can be read so"
                    .to_owned(),
            );
        }
        let end = match turn.end.filter(|_| sample.is_cut != Some(true)) {
            Some(token) => Some(own.token_to_id(&token).ok_or_else(|| {
                format!("the chat template ends turns with `{token}`, which is no token of the tokenizer")
            })?),
            None => None,
        };
        let rejected = |e| format!("the tokenizer cannot encode the text: {e}");
        let before = match turn.prompt.get(..turn.prompt_before).filter(|before| before.len() < turn.prompt.len()) {
            Some(before) => Some(own.encode_fast(before, false).map_err(rejected)?.get_ids().to_vec()),
            None => None,
        };
        let prompt = self.fill_text(sample, (own, &[]), turn.prompt, turn.response, boundary, end).map_err(rejected)?;
        Ok(before.unwrap_or(prompt))
    }
}
