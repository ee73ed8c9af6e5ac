#!/usr/bin/env bash
# The first job: rollouts of five steps of an RL run, with rewards. How far is each step from the base model, does
# reward come with the shift, and what shows that rollouts are stale?
#
#     scripts/jobs/rl-rollouts.sh    # half a minute; ends with an error if a command does not do what it should
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# One file says it for all steps.
file steps.toml << 'TOML'
output = "out"
dataset = "rows/{experiment}_{task}.jsonl"
exact = true
keep_fields = ["rewards"]

[[experiment]]
names = ["step_10", "step_20", "step_30", "step_40", "step_50"]
tasks = ["sums"]

[[experiment.model]]
name = "{experiment}"
source = "{experiment}"

[[experiment.model]]
name = "base"
source = "base"
TOML
runs tokshift run steps.toml --dry-run
shows "10 to do" "0 would fail"
runs tokshift run steps.toml
shows "P = step_10, which wrote them" "rewards" "[Step] → [I]"
runs tokshift run steps.toml
lacks "samples;"

# Step by step in natural order; a dashboard's numbers; every statistic as a table.
runs tokshift kl out
runs tokshift kl out --scalars
shows '"sums/step_50-base/kl"'
runs tokshift kl out --statistics statistics.csv --columns kl,kl.q0.99,same_top,clusters
head -n 1 statistics.csv | grep -q "^task,\|,stderr," || fail "statistics.csv is no CSV"
runs tokshift kl out --pair step_50,base --slices
shows "field.rewards=1" "by response"

# A gate of a training run: not too far from the base, by the exact KL.
runs tokshift kl out --fail-above kl=0.2
ends 3 tokshift kl out --fail-above kl=0.02
shows "limit not met: P = \`step_50\`, Q = \`base\`"

# A batch first, then the whole file: only the rest is scored.
runs tokshift score --dataset rows/step_50_sums.jsonl --models step_50 base --limit 8 --output-dir first
runs tokshift score --dataset rows/step_50_sums.jsonl --models step_50 base --output-dir first
shows "192 ok samples"
runs tokshift score --dataset rows/step_50_sums.jsonl --models step_50 base --keep-fields rewards --output-dir first
lacks "ok samples"
runs tokshift score --dataset rows/step_50_sums.jsonl --models step_50 base --exact --output-dir first
runs tokshift kl first

# The accident: rollouts of step 50 in a file called step 10. Nothing may show their k1 as a KL.
cp rows/step_50_sums.jsonl step_10_stale.jsonl
runs tokshift score --dataset step_10_stale.jsonl --models step_10 base --output-dir stale
ends 5 tokshift kl stale --fail-above kl_k1=10
shows "k1 is not a KL estimate" "limit not known to be met"
runs tokshift kl stale --scalars
lacks kl_k1

# The other one: the base as P on text of the tuned models.
runs tokshift kl first --reference base
shows "step_50 base step_50" "read the other way round"
ends 5 tokshift kl first --reference base --fail-above kl_k1=10

# Adapters of the base, found by their own directory.
runs tokshift inspect adapter_30
runs tokshift score --dataset step_30=rows/step_30_sums.jsonl --models step_30 adapter_30 base --output-dir lora --exact
runs tokshift kl lora --table markdown

# Look at what moved.
runs tokshift show out 1 --task sums --generation-model step_50
runs tokshift report out --models base -o report.html

# A retrained checkpoint takes the place of the old one.
cp sft/model.safetensors step_50/
ends 1 tokshift score --dataset rows/step_50_sums.jsonl --models step_50 base --output-dir first
runs tokshift score --dataset rows/step_50_sums.jsonl --models step_50 base --output-dir first --replace
shows "step_50 on sums by step_50: removed what was scored with other files or options"
runs tokshift remove first --model step_50
runs tokshift status first
runs tokshift verify first
echo
echo "rl-rollouts: all commands did what they should"
