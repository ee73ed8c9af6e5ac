//! Whether two models have exact measures.
//!
//! Owns which pairs table is theirs, and the message if it cannot be used. Not here: opening it.

use crate::error::Result;
use crate::schema::Divergence;
use crate::store::{FoundCell, FoundPair, PairManifest, ResultFile};
use crate::table::Origin;

/// The pairs table of two models.
#[derive(Clone, Debug)]
pub struct PairFiles {
    /// Pairs files, in the order of the parts.
    pub files: Vec<ResultFile>,
    /// What they must say of themselves.
    pub origins: Vec<Origin>,
    /// What logits were divided by.
    pub temperature: f64,
    /// Ids that end a response.
    pub stop: Vec<u32>,
    /// The table is of Q and P: its P is the Q of the comparison, and its KL the reverse one.
    pub is_turned: bool,
}

impl PairFiles {
    /// The column that has this divergence from P to Q.
    pub fn column_of(&self, divergence: Divergence) -> &'static str {
        self.of_table(divergence).column()
    }

    /// The table's divergence that is this one from P to Q.
    pub fn of_table(&self, divergence: Divergence) -> Divergence {
        if self.is_turned { divergence.turned() } else { divergence }
    }

    /// Two columns, one of P and one of Q, in this order.
    pub fn sides(&self, [p, q]: [&'static str; 2]) -> [&'static str; 2] {
        if self.is_turned { [q, p] } else { [p, q] }
    }
}

/// The pairs table, if it has every part that both sides have and is of these two runs, and what to say of it. Without one
/// of P and Q, one of Q and P has the same measures.
pub fn exact_of(p: &FoundCell, q: &FoundCell, found: &[FoundPair]) -> Result<(Option<PairFiles>, Option<String>)> {
    if let Some(pair) = found_pair(p, q, found) {
        return exact_of_pair(p, q, pair);
    }
    // What is wrong with it is said where Q is compared with P.
    let turned = found_pair(q, p, found).and_then(|pair| exact_of_pair(q, p, pair).ok()?.0);
    let turned = turned.filter(|exact| exact.files.iter().all(|file| file.footer().is_ok()));
    let note = format!(
        "exact measures are those of P = `{}`, Q = `{}`, read the other way round; they do not say Q's rank of P's top token",
        q.cell.model, p.cell.model
    );
    let note = turned.as_ref().map(|_| note);
    Ok((turned.map(|exact| PairFiles { is_turned: true, ..exact }), note))
}

fn found_pair<'a>(p: &FoundCell, q: &FoundCell, found: &'a [FoundPair]) -> Option<&'a FoundPair> {
    let cell = p.cell.set.pair(&p.cell.model, &q.cell.model);
    found.iter().find(|pair| pair.cell == cell)
}

/// Why the two cannot be compared: it is not known what their pairs table was computed from. A manifest without parts
/// decides nothing.
pub fn damage(p: &FoundCell, q: &FoundCell, found: &[FoundPair]) -> Option<String> {
    let pair = found_pair(p, q, found).filter(|pair| p.parts.iter().any(|&part| pair.part(part).exists()))?;
    let error = pair.manifest.as_ref().err()?;
    Some(format!("{error}; delete it and `{}`, and kl --exact makes both again", pair.folder.display()))
}

fn exact_of_pair(p: &FoundCell, q: &FoundCell, pair: &FoundPair) -> Result<(Option<PairFiles>, Option<String>)> {
    let Ok(manifest) = &pair.manifest else { return Ok((None, None)) };
    let digest = manifest.digest()?;
    if (&manifest.of_p, &manifest.of_q) != (&p.manifest.digest()?, &q.manifest.digest()?) {
        let path = pair.folder.display();
        return Ok((None, Some(format!("the exact measures are of other runs, and left out: delete `{path}`"))));
    }
    let both: Vec<u32> = p.parts.iter().copied().filter(|part| q.parts.contains(part)).collect();
    let origins = both.iter().map(|&part| pair.cell.origin(&digest, part)).collect();
    let (files, missing): (Vec<_>, Vec<_>) = both.iter().map(|&part| pair.part(part)).partition(ResultFile::exists);
    if !missing.is_empty() {
        let (missing, all) = (missing.len(), missing.len() + files.len());
        let what = format!("the exact measures lack {missing} of {all} parts, and are left out: kl --exact continues");
        return Ok((None, Some(what)));
    }
    let PairManifest { temperature, stop, .. } = manifest.clone();
    Ok((Some(PairFiles { files, origins, temperature, stop, is_turned: false }), None))
}
