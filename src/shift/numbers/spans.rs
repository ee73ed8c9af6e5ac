//! Two tokenisations of one text as the shortest spans that both have.
//!
//! Owns where a span ends and what it adds up. Not here: reading. Byte ranges and log-probabilities in, spans out.

/// A token as far as spans need it: bytes of the response, and ln of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    pub start: u32,
    pub end: u32,
    /// Unknown if nothing precedes it.
    pub logprob: Option<f64>,
    /// It began before the response: some of its probability is of the prompt.
    pub straddles: bool,
}

impl Piece {
    /// Whether its probability is known and of the response alone.
    fn counts(&self) -> bool {
        self.logprob.is_some() && !self.straddles
    }
}

/// The text between two places that are boundaries of tokens in both tokenisations, with none between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    pub bytes: u32,
    /// ln of the probability that each side gave its tokens there.
    pub logprob: [f64; 2],
    /// Tokens of each side.
    pub tokens: [u32; 2],
}

/// A text as split by both tokenisations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aligned {
    pub spans: Vec<Span>,
    /// Tokens of each model that belong to no span: those that span the prompt's end or were not scored by either
    /// model, those before the first common boundary and those after the last.
    pub left_out: [u32; 2],
}

/// Spans of a text's tokens by both sides, in its order. A token without bytes belongs to what ends where it stands.
pub fn align(sides: [&[Piece]; 2]) -> Aligned {
    let mut walk = Walk { sides, next: [0; 2] };
    let mut aligned = Aligned::default();
    let starts = sides.map(|pieces| pieces.first().map(|piece| piece.start));
    let mut is_whole = starts[0] == starts[1];
    let mut begin = starts[0].unwrap_or_default();
    while let Some((end, held)) = walk.span() {
        let counts = held.iter().all(|pieces| pieces.iter().all(Piece::counts));
        let tokens = held.map(|pieces| pieces.len() as u32);
        if is_whole && counts && end > begin {
            let logprob = held.map(|pieces| pieces.iter().filter_map(|piece| piece.logprob).sum());
            aligned.spans.push(Span { bytes: end - begin, logprob, tokens });
        } else {
            aligned.left_out = [0, 1].map(|side| aligned.left_out[side] + tokens[side]);
        }
        (begin, is_whole) = (end, true);
    }
    let rest = [0, 1].map(|side| (sides[side].len() - walk.next[side]) as u32);
    aligned.left_out = [0, 1].map(|side| aligned.left_out[side] + rest[side]);
    aligned
}

/// How far each side was read.
struct Walk<'a> {
    sides: [&'a [Piece]; 2],
    next: [usize; 2],
}

impl<'a> Walk<'a> {
    /// Where the next span ends, and the tokens of each side in it; `None` if no boundary is left that both have.
    fn span(&mut self) -> Option<(u32, [&'a [Piece]; 2])> {
        let begin = self.next;
        let mut at = begin;
        let ends = |at: [usize; 2]| Some([self.sides[0].get(at[0])?.end, self.sides[1].get(at[1])?.end]);
        let end = loop {
            let [p, q] = ends(at)?;
            if p == q {
                break p;
            }
            at[usize::from(q < p)] += 1;
        };
        for side in [0, 1] {
            let here = self.sides[side][at[side]..].iter().take_while(|piece| piece.end == end).count();
            self.next[side] = at[side] + here;
        }
        Some((end, [0, 1].map(|side| &self.sides[side][begin[side]..self.next[side]])))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Tokens of these lengths in bytes.
    fn pieces(lengths: &[u32], scale: f64) -> Vec<Piece> {
        let mut start = 0;
        let piece = |length: &u32| {
            let piece = Piece {
                start,
                end: start + length,
                logprob: Some(-scale * f64::from(start + 2 * length)),
                straddles: false,
            };
            start += length;
            piece
        };
        lengths.iter().map(piece).collect()
    }

    #[test]
    fn spans_end_where_both_do() {
        // ab|c|def|g and a|bc|de|fg: abc, defg.
        let (p, q) = (pieces(&[2, 1, 3, 1], 1.0), pieces(&[1, 2, 2, 2], 0.5));
        let aligned = align([&p, &q]);
        let found: Vec<_> = aligned.spans.iter().map(|span| (span.bytes, span.tokens)).collect();
        assert_eq!((found, aligned.left_out), (vec![(3, [2, 2]), (4, [2, 2])], [0, 0]));
        assert_eq!(aligned.spans[0].logprob, [-(4.0 + 4.0), -0.5 * (2.0 + 5.0)]);
    }

    #[test]
    fn a_token_without_bytes_belongs_to_what_it_follows() {
        let (p, q) = (pieces(&[2, 0, 2], 1.0), pieces(&[2, 2, 0], 1.0));
        let found: Vec<_> = align([&p, &q]).spans.iter().map(|span| (span.bytes, span.tokens)).collect();
        assert_eq!(found, [(2, [2, 1]), (2, [1, 2])]);
    }

    #[test]
    fn what_is_not_of_the_response_alone_is_left_out() {
        let mut p = pieces(&[2, 2, 2], 1.0);
        let q = pieces(&[2, 1, 3], 1.0);
        p[0].straddles = true;
        let aligned = align([&p, &q]);
        assert_eq!((aligned.spans.len(), aligned.spans[0].bytes, aligned.left_out), (1, 4, [1, 1]));
        let mut p = pieces(&[2, 2, 2], 1.0);
        p[0].logprob = None;
        assert_eq!(align([&p, &q]).left_out, [1, 1]);
        // The first token of one side is missing, and the last of the other was cut off.
        let aligned = align([&pieces(&[2, 2, 2], 1.0)[1..], &pieces(&[2, 2], 1.0)]);
        assert_eq!((aligned.spans.len(), aligned.left_out), (0, [2, 2]));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_span_could_be_cut(
            p in prop::collection::vec(0_u32..4, 0..30),
            q in prop::collection::vec(0_u32..4, 0..30),
        ) {
            let (mut p, mut q) = (p, q);
            // The same text, and no first token of no bytes, which nothing precedes.
            let (long, short) = (p.iter().sum::<u32>(), q.iter().sum::<u32>());
            p.push(1 + short.saturating_sub(long));
            q.push(1 + long.saturating_sub(short));
            let (p, q) = (pieces(&p, 1.0), pieces(&q, 0.25));
            let aligned = align([&p, &q]);
            let boundaries = |pieces: &[Piece]| pieces.iter().map(|piece| piece.end).filter(|end| *end > 0).collect::<BTreeSet<_>>();
            let common = boundaries(&p).intersection(&boundaries(&q)).count();
            prop_assert_eq!(aligned.spans.len(), common);
            prop_assert_eq!(aligned.spans.iter().map(|span| span.bytes).sum::<u32>(), p.last().unwrap().end);
            for (side, pieces) in [&p, &q].into_iter().enumerate() {
                let held: u32 = aligned.spans.iter().map(|span| span.tokens[side]).sum();
                prop_assert_eq!((held + aligned.left_out[side]) as usize, pieces.len());
                if aligned.left_out[side] == 0 {
                    let sum: f64 = aligned.spans.iter().map(|span| span.logprob[side]).sum();
                    prop_assert!((sum - pieces.iter().filter_map(|piece| piece.logprob).sum::<f64>()).abs() < 1e-9);
                }
            }
            let turned = align([&q, &p]);
            prop_assert_eq!(turned.spans.len(), aligned.spans.len());
            for (a, b) in aligned.spans.iter().zip(&turned.spans) {
                prop_assert_eq!((a.logprob[0], a.logprob[1]), (b.logprob[1], b.logprob[0]));
            }
            // One tokenisation alone: a span a token of any bytes.
            let own = align([&p, &p]);
            prop_assert_eq!(own.spans.len(), boundaries(&p).len());
        }
    }
}
