//! `--shard`: which of several processes this one is.
//!
//! Owns the flag and what a scheduler's environment says. Not here: which parts a shard has
//! ([`Shard`](crate::pipeline::Shard)).

use std::env;

use crate::pipeline::Shard;

/// Which parts of what is left are scored.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ShardArgs {
    /// Score only every COUNTth part, from part INDEX (from 0): one of COUNT processes that share an output directory on a
    /// file system without locks
    ///
    /// Where locks work, processes that run the same command share the parts by themselves, and need no shards. `auto` is
    /// the task of a Slurm array, whose tasks must have consecutive numbers; `auto/COUNT` is the pod of an indexed
    /// Kubernetes job. A shard that is done leaves the parts of the others alone.
    #[arg(long, help_heading = "Several processes", value_name = "INDEX/COUNT|auto", value_parser = parse)]
    pub shard: Option<Shard>,
}

fn parse(text: &str) -> Result<Shard, String> {
    let variable = |name: &str| env::var(name).ok();
    match text.strip_prefix("auto") {
        Some("") => slurm(&variable),
        Some(count) if count.starts_with('/') => kubernetes(count, &variable),
        _ => text.parse(),
    }
}

/// The task of a Slurm array. `SLURM_ARRAY_TASK_COUNT` counts the tasks of the array, also of one that limits how many run at
/// once; a task that is requeued keeps its number.
fn slurm(variable: &dyn Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let number = |name: &str| {
        let name = format!("SLURM_ARRAY_TASK_{name}");
        let value = variable(&name).ok_or_else(|| format!("`auto` needs a Slurm array: {name} is not set"))?;
        value.parse::<u32>().map_err(|_| format!("{name} is `{value}`, not a number"))
    };
    let (id, least, most, count) = (number("ID")?, number("MIN")?, number("MAX")?, number("COUNT")?);
    let is_consecutive = most.checked_sub(least).and_then(|range| range.checked_add(1)) == Some(count);
    match id.checked_sub(least).and_then(|index| Shard::new(index, count)) {
        Some(shard) if is_consecutive => Ok(shard),
        _ => Err(format!(
            "the tasks of the Slurm array, {count} from {least} to {most}, are not consecutive, so the shard of task {id} is \
             unknown: give INDEX/COUNT"
        )),
    }
}

/// The pod of an indexed job; `count` is `/COUNT`, because no variable holds it.
fn kubernetes(count: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let index = variable("JOB_COMPLETION_INDEX");
    let index = index.ok_or("`auto/COUNT` needs an indexed Kubernetes job: JOB_COMPLETION_INDEX is not set")?;
    format!("{index}{count}").parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_slurm(id: &str, least: &str, most: &str, count: &str) -> Result<String, String> {
        let variable = |name: &str| {
            let value = match name.strip_prefix("SLURM_ARRAY_TASK_")? {
                "ID" => id,
                "MIN" => least,
                "MAX" => most,
                "COUNT" => count,
                _ => return None,
            };
            Some(value.to_owned()).filter(|value| !value.is_empty())
        };
        slurm(&variable).map(|shard| shard.to_string())
    }

    #[test]
    fn tasks_of_an_array_are_shards() {
        assert_eq!(of_slurm("0", "0", "7", "8").unwrap(), "0/8");
        assert_eq!(of_slurm("12", "5", "12", "8").unwrap(), "7/8");
        assert!(of_slurm("3", "3", "17", "2").unwrap_err().contains("not consecutive"));
        assert!(of_slurm("3", "", "7", "8").unwrap_err().contains("SLURM_ARRAY_TASK_MIN is not set"));
        assert!(of_slurm("x", "0", "7", "8").unwrap_err().contains("is `x`, not a number"));
    }

    #[test]
    fn pods_of_an_indexed_job_are_shards() {
        let pod = |name: &str| (name == "JOB_COMPLETION_INDEX").then(|| "3".to_owned());
        assert_eq!(kubernetes("/8", &pod).unwrap().to_string(), "3/8");
        assert!(kubernetes("/3", &pod).unwrap_err().contains("the last of 3 is 2/3"));
        assert!(kubernetes("/8", &|_| None).unwrap_err().contains("JOB_COMPLETION_INDEX is not set"));
    }
}
