#!/usr/bin/env bash
# A report in a browser: the decoder by itself, then pages of the demo, of hostile names and of 10,000 rows in Chromium, from
# disk, from a folder and from `tokshift view`. Takes a minute after the build.
#
#     scripts/check-report.sh
#     TOKSHIFT=path/to/tokshift SHOTS=folder scripts/check-report.sh     # and keeps screenshots
#
# It installs Debian's chromium if there is none and it may, and two packages of npm under target/. A machine without node,
# or without a browser that it can get, ends it with code 77: not checked.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v node > /dev/null && command -v npm > /dev/null || { echo "not checked: no node and npm"; exit 77; }
node --test tests/report/decode.test.mjs

CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
if [ -z "$CHROMIUM" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null; then
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } > /dev/null 2>&1 || true
    CHROMIUM=$(command -v chromium || true)
fi
[ -n "$CHROMIUM" ] || { echo "not checked: no chromium"; exit 77; }
MODULES=$PWD/target/check-report
mkdir -p "$MODULES"
cp tests/report/package.json tests/report/package-lock.json "$MODULES/"
(cd "$MODULES" && npm ci --silent --no-audit --no-fund) || { echo "not checked: npm cannot install playwright-core"; exit 77; }

TOKSHIFT=$(realpath "${TOKSHIFT:-target/release/tokshift}" 2> /dev/null || true)
[ -x "$TOKSHIFT" ] || { cargo build --release --locked --bin tokshift; TOKSHIFT=$PWD/target/release/tokshift; }
PAGES=$(mktemp -d)
view=
trap '[ -z "$view" ] || kill "$view"; rm -rf "$PAGES"' EXIT
tied=$PWD/tests/fixtures/models/qwen3-tied
python3 tests/report/make_data.py "$PAGES"
cd "$PAGES"

quietly() { "$@" > log 2>&1 || { cat log; exit 1; }; }
mock() {
    local dataset=$1 out=$2
    shift 2
    quietly "$TOKSHIFT" score --engine mock --dataset "$dataset" --output-dir "$out" "$@"
}

ROOT=$OLDPWD
TOKSHIFT=$TOKSHIFT quietly "$ROOT/scripts/make-report.sh" "$PAGES/docs.html"
cmp docs.html "$ROOT/docs/report.html" ||
    { echo "docs/report.html is not what this version writes: run scripts/make-report.sh and commit the file"; exit 1; }
quietly "$TOKSHIFT" demo --output-dir demo
quietly "$TOKSHIFT" report demo/out -o demo.html --tokenizer demo/models/tokenizer.json
quietly "$TOKSHIFT" report demo/out -o again.html --tokenizer demo/models/tokenizer.json
cmp demo.html again.html
quietly "$TOKSHIFT" report demo/out -o folder/ --tokenizer demo/models/tokenizer.json
LIMIT=$(($(wc -c < demo.html) * 2 / 3))
quietly "$TOKSHIFT" report demo/out -o limited.html --max-size "$LIMIT"

# A name ends at the first `=`.
hostile='</script><script>pwned()</script><b>'
field='</script><script>window.pwned=1</script>'
mock "$(ls *_hostile*.jsonl)" hostile --keep-fields "$field" --models "rl=$tied,\"'$hostile&amp;\$x\$=$tied"
quietly "$TOKSHIFT" report hostile -o hostile.html
quietly "$TOKSHIFT" import losses/*_token_losses.json --output-dir imported
quietly "$TOKSHIFT" report imported -o imported.html
mock rl_many.jsonl many --top-k 3 --models "rl=$tied,base=$tied"
quietly "$TOKSHIFT" report many -o many.html

model() { echo "$1=demo/models/$2"; }
quietly "$TOKSHIFT" score --dataset demo/data/rl_chat.jsonl --output-dir five --limit 8 --tokenizer demo/models/tokenizer.json \
    --models "$(model rl rl),$(model a base),$(model b sft),$(model c base),$(model d sft)"
quietly "$TOKSHIFT" report five -o four.html

"$TOKSHIFT" view demo/out --tokenizer demo/models/tokenizer.json > address 2> view.log &
view=$!
for _ in $(seq 100); do [ -s address ] && break; sleep 0.1; done
VIEW=$(cat address)
[ -n "$VIEW" ] || { cat view.log; exit 1; }

export CHROMIUM MODULES TOKSHIFT PAGES LIMIT VIEW
cd "$OLDPWD"
node --test tests/report/page.test.mjs
