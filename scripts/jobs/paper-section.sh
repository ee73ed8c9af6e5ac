#!/usr/bin/env bash
# The third job: a section of a paper. Three models on five tasks, answered by two of them: KL by task and over tasks
# with standard errors, as LaTeX; whether one moved further than the other; examples; figures.
#
#     scripts/jobs/paper-section.sh    # a minute; ends with an error if a command does not do what it should
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

file study.toml << 'TOML'
output = "out"
dataset = "rows/{experiment}_{task}.jsonl"
exact = true

[[experiment]]
names = ["rl", "sft"]
tasks = ["addition", "subtraction", "chat", "coqa", "math"]

[[experiment.model]]
name = "rl"
source = "rl"

[[experiment.model]]
name = "sft"
source = "sft"

[[experiment.model]]
name = "base"
source = "base"
TOML
runs tokshift run study.toml --dry-run
shows "30 to do" "0 would fail"
runs tokshift run study.toml
shows "all 5 tasks" "30 done"

# The table of the section, and its numbers for a plot.
COLUMNS=80 runs tokshift kl out
COLUMNS=120 runs tokshift kl out
runs tokshift kl out --table latex
shows "\\begin{tabular}" "all 5 tasks"
runs tokshift kl out --table latex --columns kl,kl_reverse,same_top,clusters --pair rl,base --pair sft,base
runs tokshift kl out --statistics statistics.parquet --quantiles --pair rl,base

# The claim: does fine-tuning move the model further than RL? Paired by prompt, by task, pooled, mean of tasks.
runs tokshift kl out --between rl,sft --to base --pair rl,base --pair sft,base
shows "paired by prompt" "mean of" "difference ± s.e."

# One table by script, and one response to print.
runs tokshift kl out --json --pair rl,base
shows '"format_version": 1'
runs tokshift show out 3 --task chat --generation-model rl
runs tokshift plot out --figure kl-by-task -o kl.svg

# Wrong usage says what is right.
ends 1 tokshift kl out --pair rl,nosuch
ends 1 tokshift kl out --task additoin
ends 2 tokshift kl out --fail-above kld=1
runs tokshift help kl
runs tokshift verify out
echo
echo "paper-section: all commands did what they should"
