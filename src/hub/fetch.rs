//! Downloads from the Hugging Face hub into its cache.
//!
//! Owns the hub's environment (`HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_ENDPOINT`), and the order
//! of requests: a list, then the needed files that the cache lacks. Pickle files are never requested.

use std::path::{Path, PathBuf};

use hf_hub::Cache;
use hf_hub::api::sync::{ApiBuilder, ApiRepo};

use super::cached::{INDEX, keep_absence, shards};
use super::remote::{Kind, Remote};

/// The environment's token, else what `hf auth login` stored.
fn token(cache: &Cache) -> Option<String> {
    let from_file = || match std::env::var_os("HF_TOKEN_PATH") {
        Some(path) => std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()),
        None => cache.token(),
    };
    std::env::var("HF_TOKEN").ok().or_else(from_file).filter(|token| !token.is_empty())
}

/// Fetches the one file, or what tokshift reads of the repository; then it is the snapshot directory.
pub fn fetch(cache: &Cache, Remote { repo, file }: &Remote, kind: Kind) -> Result<PathBuf, String> {
    let token = token(cache);
    let mut builder = ApiBuilder::from_cache(cache.clone()).with_token(token).with_progress(false);
    if let Ok(endpoint) = std::env::var("HF_ENDPOINT") {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    let api = builder.build().map_err(|e| format!("cannot reach the hub: {e}"))?.repo(repo.clone());
    if let Some(file) = file {
        return download(&api, file);
    }
    let info = api.info().map_err(|e| format!("the hub does not list it (private? misspelt? no network?): {e}"))?;
    // What is there already counts if it is of the commit that is listed.
    cache.repo(repo.clone()).create_ref(&info.sha).map_err(|e| format!("the cache cannot be written: {e}"))?;
    let listed: Vec<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
    let has = |name: &str| listed.iter().any(|listed| listed == name);
    if !has(kind.config()) {
        return Err(format!("the repository has no `{}`", kind.config()));
    }
    let config = download(&api, kind.config())?;
    let directory = config.parent().map(Path::to_owned).ok_or("the cache has no snapshot directory")?;
    if has(kind.weights()) {
        download(&api, kind.weights())?;
    } else if has(INDEX) {
        let index = download(&api, INDEX)?;
        let index = std::fs::read(&index).map_err(|e| format!("cannot read `{}`: {e}", index.display()))?;
        let shards = shards(&index).ok_or_else(|| format!("its `{INDEX}` is no index"))?;
        for name in shards.iter().filter(|name| has(name)) {
            download(&api, name)?;
        }
    }
    for name in kind.optional() {
        if has(name) {
            download(&api, name)?;
        } else {
            keep_absence(&directory, name);
        }
    }
    Ok(directory)
}

fn download(api: &ApiRepo, name: &str) -> Result<PathBuf, String> {
    tracing::info!(file = name, "fetching");
    api.get(name).map_err(|e| format!("cannot fetch `{name}`: {e}"))
}
