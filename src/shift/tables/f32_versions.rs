//! Models that were also scored in f32.
//!
//! Owns which further pairs the noise floor needs, and the check that an f32 version has the same weights. Not here:
//! the floor itself (`figures`).

use crate::error::{Error, Result};
use crate::shift::options::F32Version;
use crate::store::FoundCell;

/// The further pairs that the floors of `chosen` ones need: each model with its f32 version, and the f32 versions of
/// both, where a model that `is_in_f32` is its own.
pub fn pairs<'a>(
    f32_versions: &'a [F32Version],
    chosen: &[[&'a str; 2]],
    is_in_f32: impl Fn(&str) -> bool,
) -> Vec<[&'a str; 2]> {
    let own = f32_versions.iter().map(|f32_version| [f32_version.model.as_str(), f32_version.in_f32.as_str()]);
    let in_f32 = |model: &'a str| of(f32_versions, model).or(is_in_f32(model).then_some(model));
    let both = chosen.iter().filter_map(|[p, q]| Some([in_f32(p)?, in_f32(q)?]));
    own.chain(both.filter(|[p, q]| p != q)).collect()
}

/// The f32 version of a model.
pub fn of<'a>(f32_versions: &'a [F32Version], model: &str) -> Option<&'a str> {
    f32_versions.iter().find(|f32_version| f32_version.model == model).map(|f32_version| f32_version.in_f32.as_str())
}

/// f32 versions are the same weights, and in f32.
///
/// # Errors
/// [`Error::Usage`] naming the first that are not, of the models of a response set.
pub fn must_be_f32_versions(models: &[&FoundCell], f32_versions: &[F32Version]) -> Result<()> {
    let find = |name: &str| models.iter().find(|found| found.cell.model == name).map(|found| &found.manifest.engine);
    for F32Version { model, in_f32 } in f32_versions {
        let Some((own, f32_version)) = find(model).zip(find(in_f32)) else { continue };
        let what = if own.files != f32_version.files {
            "its files are others".to_owned()
        } else if f32_version.dtype != "f32" {
            format!("it was scored in {}", f32_version.dtype)
        } else {
            continue;
        };
        return Err(Error::Usage(format!("--noise-floor: `{in_f32}` is not `{model}` in f32: {what}")));
    }
    Ok(())
}
