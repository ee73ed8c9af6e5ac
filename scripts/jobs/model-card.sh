#!/usr/bin/env bash
# The second job: the card of a quantised model. Six GGUF files of one model against its bf16 directory, on plain text
# and on real rows, with size, KL (mean, 99%, 99.9%), same top token and ratio of perplexities.
#
#     scripts/jobs/model-card.sh    # half a minute; ends with an error if a command does not do what it should
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cp "$OLDPWD/docs/measures.md" text.md

# Plain text, all quantisations by a pattern; P is the first model.
runs tokshift score --text text.md --models bf16=rl rl-*.gguf --exact --output-dir card
shows "P = bf16, the first of the models"
runs tokshift kl card --card
shows "rl-Q4\\_0" "kB" "P = bf16"
runs tokshift kl card --card --table latex
runs tokshift kl card --table csv --columns kl,kl.q0.99,kl.q0.999,same_top,ppl_ratio,size
runs tokshift kl card
lacks "by k1"

# One more that is added later gets the ids that are there; what exists is not scored again.
runs tokshift score --text text.md --models bf16=rl again=rl-Q8_0.gguf --exact --output-dir card
runs tokshift kl card --pair bf16,again

# What of this is rounding: both dtypes in the notes, and a floor on some windows.
runs tokshift score --text text.md --models bf16=rl rl-Q8_0.gguf --noise-floor floor --output-dir card
shows "noise floor"

# Rows of a real model as chats: none of the models wrote them, which is said, and no k1 is a KL.
runs tokshift score --dataset rows/UniReason-RL_coqa.jsonl rows/UniReason-RL_math.jsonl \
    --models bf16=rl rl-Q8_0.gguf rl-Q4_0.gguf --output-dir rows-of-others
shows "UniReason-RL" "P = bf16, the first of the models"
runs tokshift kl rows-of-others
shows "k1 is not a KL estimate"
ends 5 tokshift kl rows-of-others --fail-above kl_k1=10

# A gate in CI, on quantiles and from below.
runs tokshift kl card --pair bf16,rl-Q8_0 --fail-above kl.q0.99=0.1 --fail-below same_top=0.9
ends 3 tokshift kl card --fail-below same_top=0.999

runs tokshift remove card --model again
runs tokshift status card
echo
echo "model-card: all commands did what they should"
