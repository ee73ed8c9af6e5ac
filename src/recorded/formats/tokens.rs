//! One text's tokens as servers' answers have them, with what is known of each.
//!
//! Owns the step from such tokens to a sample: ids or texts, lists, and what stands before. Not here: any server's fields.

use super::lists::Entry;
use crate::recorded::row::{Numbers, RecordedSample};

/// Which tokens are read of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// The prompt's, which the model was given.
    Prompt,
    /// Those that the model generated.
    Generated,
}

/// A token that an answer has a number of, or `None` for the first of a text, which nothing predicts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// Nats; `None` where the answer has null.
    pub logprob: Option<f64>,
    pub rank: Option<u32>,
    /// The list, in the answer's order.
    pub top: Option<Vec<Entry>>,
    /// The list may contain the token itself besides the most likely ones.
    pub may_add_own: bool,
    /// There is a list, but it names texts instead of ids.
    pub names_texts: bool,
}

/// A token of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Token {
    pub id: Option<u32>,
    pub text: Option<String>,
    pub scored: Scored,
}

/// The sample of `tokens`, which stand after the ids of `before`, if these are known. Tokens without a number belong to what
/// is given.
///
/// # Errors
/// Some of the tokens have ids and others not.
pub fn sample(before: Option<Vec<u32>>, tokens: Vec<Token>) -> Result<RecordedSample, String> {
    let ids: Option<Vec<u32>> = tokens.iter().map(|token| token.id).collect();
    if ids.is_none() && tokens.iter().any(|token| token.id.is_some()) {
        return Err("some tokens have ids and others none".to_owned());
    }
    // Where the answer begins with a token that has no number, it begins the text.
    let begins = tokens.first().is_some_and(|token| token.scored.logprob.is_none());
    let has_context = ids.is_some() && (before.is_some() || begins);
    let offset = if ids.is_some() { before.as_ref().map_or(0, Vec::len) } else { 0 };
    let scored: Vec<(usize, Token)> =
        tokens.into_iter().enumerate().filter(|(_, token)| token.scored.logprob.is_some()).collect();
    let places = scored.iter().map(|(place, _)| (offset + place) as u32).collect();
    let texts = scored.iter().map(|(_, token)| token.text.clone()).collect::<Option<Vec<String>>>().unwrap_or_default();
    let tokens: Vec<Token> = scored.into_iter().map(|(_, token)| token).collect();
    let numbers = vec![Ok(numbers(tokens))];
    let ids = ids.map(|ids| before.unwrap_or_default().into_iter().chain(ids).collect()).unwrap_or_default();
    Ok(RecordedSample { ids, places, has_context, texts, is_cut: None, numbers })
}

fn numbers(tokens: Vec<Token>) -> Numbers {
    let logprob = tokens.iter().map(|token| token.scored.logprob).collect();
    let rank = tokens.iter().map(|token| token.scored.rank).collect::<Option<Vec<u32>>>().unwrap_or_default();
    let lost_lists = tokens.iter().filter(|token| token.scored.names_texts).count() as u64;
    let has_lists = tokens.iter().all(|token| token.scored.top.is_some());
    let top = if has_lists { lists(tokens) } else { Vec::new() };
    Numbers { logprob, rank, top, lost_lists, ..Numbers::default() }
}

/// The lists of most likely tokens. Servers add the token itself to its list, though it may not be among the most likely.
/// With a rank it is taken out where that lies beyond the list's length. Without ranks it is taken out where it is the
/// last of a list of the greatest length, unless another list of that length has its token above others: then lists of that
/// length were requested.
fn lists(tokens: Vec<Token>) -> Vec<Vec<(u32, f64)>> {
    let longest = tokens.iter().flat_map(|token| &token.scored.top).map(Vec::len).max().unwrap_or_default();
    let is_last = |token: &Token| {
        let own = token.scored.top.iter().flatten().find(|entry| Some(entry.id) == token.id);
        own.is_some_and(|own| token.scored.top.iter().flatten().all(|other| other.logprob >= own.logprob))
    };
    let is_longest = |token: &Token| token.scored.top.as_ref().is_some_and(|top| top.len() == longest);
    let is_whole = tokens.iter().any(|token| is_longest(token) && !is_last(token));
    let list = |token: Token| {
        let length = token.scored.top.as_ref().map_or(0, Vec::len);
        let is_added = match token.scored.rank {
            _ if !token.scored.may_add_own => false,
            Some(rank) => rank as usize > length,
            None => !is_whole && is_longest(&token) && is_last(&token),
        };
        let entries = token.scored.top.into_iter().flatten();
        entries
            .filter(|entry| !(is_added && Some(entry.id) == token.id))
            .map(|entry| (entry.id, entry.logprob))
            .collect()
    };
    tokens.into_iter().map(list).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u32, rank: Option<u32>, top: &[(u32, f64)]) -> Token {
        let entry = |&(id, logprob): &(u32, f64)| Entry { id, logprob, rank: None, text: None };
        let logprob = top.iter().find(|(other, _)| *other == id).map_or(-9.0, |(_, logprob)| *logprob);
        let top = Some(top.iter().map(entry).collect());
        let scored = Scored { logprob: Some(logprob), rank, top, may_add_own: true, names_texts: false };
        Token { id: Some(id), text: None, scored }
    }

    #[test]
    fn a_list_has_the_most_likely_tokens_alone() {
        // vLLM, k = 2: the token comes first, and is one of the two or a third.
        let outside = token(7, Some(40), &[(7, -5.0), (1, -1.0), (2, -2.0)]);
        let inside = token(2, Some(2), &[(2, -2.0), (1, -1.0)]);
        assert_eq!(lists(vec![outside.clone(), inside.clone()]), [[(1, -1.0), (2, -2.0)], [(2, -2.0), (1, -1.0)]]);
        // Without ranks, the longer list decides.
        let unranked = |token: &Token| Token { scored: Scored { rank: None, ..token.scored.clone() }, ..token.clone() };
        let both = vec![unranked(&outside), unranked(&inside)];
        assert_eq!(lists(both), [[(1, -1.0), (2, -2.0)], [(2, -2.0), (1, -1.0)]]);
        // k = 3 was requested: a token that is third stays.
        let above = token(1, None, &[(1, -1.0), (2, -2.0), (3, -3.0)]);
        let third = token(3, None, &[(1, -1.0), (2, -2.0), (3, -3.0)]);
        assert_eq!(lists(vec![above, third]).iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
    }

    #[test]
    fn what_stands_before_is_known_or_not() {
        let of = |logprob| Token { id: Some(3), text: None, scored: Scored { logprob, ..Scored::default() } };
        let known = sample(Some(vec![8, 9]), vec![of(Some(-1.0))]).unwrap();
        assert_eq!((&known.ids[..], &known.places[..], known.has_context), (&[8, 9, 3][..], &[2][..], true));
        let begun = sample(None, vec![of(None), of(Some(-1.0))]).unwrap();
        assert_eq!((&begun.ids[..], &begun.places[..], begun.has_context), (&[3, 3][..], &[1][..], true));
        let unknown = sample(None, vec![of(Some(-1.0))]).unwrap();
        assert_eq!((&unknown.places[..], unknown.has_context, unknown.scored()), (&[0][..], false, 1));
    }
}
