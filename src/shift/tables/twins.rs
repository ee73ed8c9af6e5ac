//! Models that were also scored in f32.
//!
//! Owns which further pairs the noise floor needs, and the check that an f32 version has the same weights. Not here:
//! the floor itself (`figures`).

use crate::error::{Error, Result};
use crate::shift::options::Twin;
use crate::store::FoundCell;

/// The further pairs that the floors of `chosen` ones need: each model with its f32 version, and the f32 versions of
/// both.
pub fn pairs<'a>(twins: &'a [Twin], chosen: &[[&str; 2]]) -> Vec<[&'a str; 2]> {
    let own = twins.iter().map(|twin| [twin.model.as_str(), twin.in_f32.as_str()]);
    let both = chosen.iter().filter_map(|[p, q]| Some([of(twins, p)?, of(twins, q)?]));
    own.chain(both).collect()
}

/// The f32 version of a model.
pub fn of<'a>(twins: &'a [Twin], model: &str) -> Option<&'a str> {
    twins.iter().find(|twin| twin.model == model).map(|twin| twin.in_f32.as_str())
}

/// Twins are the same weights, and in f32.
///
/// # Errors
/// [`Error::Usage`] naming the first that are not, of the models of a text.
pub fn must_be_twins(models: &[&FoundCell], twins: &[Twin]) -> Result<()> {
    let find = |name: &str| models.iter().find(|found| found.cell.model == name).map(|found| &found.manifest.engine);
    for Twin { model, in_f32 } in twins {
        let Some((own, twin)) = find(model).zip(find(in_f32)) else { continue };
        let what = if own.files != twin.files {
            "its files are others".to_owned()
        } else if twin.dtype != "f32" {
            format!("it was scored in {}", twin.dtype)
        } else {
            continue;
        };
        return Err(Error::Usage(format!("--noise-floor: `{in_f32}` is not `{model}` in f32: {what}")));
    }
    Ok(())
}
