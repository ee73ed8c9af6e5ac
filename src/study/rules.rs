//! What files that are read and files that are written have in common.
//!
//! Owns their names, and the rule for which tokens they contain. Not here: their content (`export`, and `recorded`, which reads them).

/// What every file's name ends with.
pub const SUFFIX: &str = "_token_losses.json";

/// The first position of a sample that the study keeps: tokens whose index in the whole text is at least one more than
/// the number of the prompt's tokens alone. Without a BOS and with a clean boundary this leaves out the first
/// response token, with a BOS none, at a merged boundary one more. Of a row without input, which is null to the study, it
/// keeps none.
pub fn first_position(context_tokens: u32, prompt_tokens_alone: u32) -> u32 {
    if prompt_tokens_alone == 0 {
        u32::MAX
    } else {
        prompt_tokens_alone.saturating_add(1).saturating_sub(context_tokens)
    }
}
