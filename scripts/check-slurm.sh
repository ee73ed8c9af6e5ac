#!/usr/bin/env bash
# examples/slurm.sbatch on a real Slurm of two nodes on this machine: an array of eight shards, of which one task is
# requeued while it runs, and the daemon of one node is killed while its tasks live on; tasks that are still running when
# Slurm gives the node up (with ROWS=90000, say) start again on the other node. The tables must be complete and those of
# a single process, byte for byte.
#
# Needs root, and Debian's slurmctld, slurmd, slurm-client and munge. Takes some four minutes.
#
#     sudo scripts/check-slurm.sh
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in slurmctld slurmd sbatch munged; do
    command -v "$tool" > /dev/null || { echo "$tool is missing: apt-get install slurmctld slurmd slurm-client munge"; exit 77; }
done
binary=$(realpath "${TOKSHIFT:-target/release/tokshift}")
[ -x "$binary" ] || cargo build --release --bin tokshift
work=$(mktemp -d)
chmod 755 "$work"
stop() {
    [ -z "${KEEP_LOG:-}" ] || cp "$work/slurmctld.log" "$KEEP_LOG"
    pkill -KILL -f "$work" 2> /dev/null || true
    [ ! -f "$work/munged.pid" ] || kill "$(cat "$work/munged.pid")" 2> /dev/null || true
    rm -rf "$work"
}
trap stop EXIT

mkdir -m 700 "$work/munge" && mkdir -m 755 "$work/socket" && mkdir "$work/state"
dd if=/dev/urandom of="$work/munge/key" bs=1024 count=1 status=none && chmod 400 "$work/munge/key"
munged --force --key-file="$work/munge/key" --socket="$work/socket/munge" --pid-file="$work/munged.pid" \
    --log-file="$work/munge/log" --seed-file="$work/munge/seed"
cat > "$work/slurm.conf" <<CONF
ClusterName=check
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=17001
SlurmUser=root
AuthInfo=socket=$work/socket/munge
StateSaveLocation=$work/state
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.%n.pid
SlurmdSpoolDir=$work/spool.%n
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=2
NodeName=n0 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=17010 CPUs=2 RealMemory=1000
NodeName=n1 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=17011 CPUs=2 RealMemory=1000
PartitionName=all Nodes=n0,n1 Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/slurm.conf
slurmctld -f "$SLURM_CONF"
for node in n0 n1; do
    mkdir -p "$work/spool.$node"
    slurmd -f "$SLURM_CONF" -N "$node"
done
for ((i = 0; i < 60; i++)); do
    [ "$(sinfo -h -o %T)" != idle ] || break
    sleep 1
done
sinfo

python3 scripts/make_rows.py "${ROWS:-20000}" 8 > "$work/rl_sums.jsonl"
models=rl=tests/fixtures/models/qwen3-tied,base=tests/fixtures/models/qwen3-bias
score() { "$binary" score --dataset "$work/rl_sums.jsonl" --models "$models" --output-dir "$work/$1" "${@:2}"; }
score whole 2> "$work/whole.err" || { cat "$work/whole.err"; exit 1; }
parts=$(find "$work/whole/tokens" -name 'part-*' | wc -l)

job=$(TOKSHIFT=$binary DATASET=$work/rl_sums.jsonl MODELS=$models OUT=$work/shared sbatch --parsable \
    --mem=100 --cpus-per-task=1 --chdir="$PWD" --output="$work/task-%a.log" examples/slurm.sbatch)
running() { squeue -h -j "$job" -t RUNNING -o '%i %N' 2> /dev/null; }
done_parts() { find "$work/shared/tokens" -name 'part-*' 2> /dev/null | wc -l; }
for ((i = 0; i < 600; i++)); do [ "$(done_parts)" -lt 3 ] || break; sleep 0.1; done
requeued=$(running | awk '$2 == "n0" { print $1; exit }')
[ -n "$requeued" ] || { echo "no task ran on n0 when one was to be requeued"; exit 1; }
echo "$(done_parts) of $parts parts done: requeue $requeued"
scontrol requeue "$requeued"
alive=$(running | awk '$2 == "n1"' | wc -l)
echo "kill slurmd of n1, where $alive tasks live on"
[ "$alive" -gt 0 ] || { echo "no task ran on n1 when its daemon was to be killed"; exit 1; }
kill -KILL "$(cat "$work/slurmd.n1.pid")"
for ((i = 0; i < 300; i++)); do
    [ -n "$(squeue -h -j "$job")" ] || break
    # Slurm holds back a task that is requeued for two minutes.
    squeue -h -r -j "$job" -t PENDING -o %i | while read -r task; do scontrol update JobId="$task" StartTime=now 2> /dev/null || true; done
    sleep 1
done
[ -z "$(squeue -h -j "$job")" ] || { squeue; tail -n 3 "$work"/task-*.log; echo "the job did not end"; exit 1; }
restarts=$(grep -ci 'requeu' "$work/slurmctld.log" || true)
# The tasks that lost their daemon may still write.
for ((i = 0; i < 60; i++)); do pgrep -f "$work/shared" > /dev/null || break; sleep 1; done
diff -r --exclude=logs --exclude=.tmp "$work/whole" "$work/shared"
"$binary" verify "$work/shared"
scored=$(cat "$work"/shared/logs/*.jsonl | sed -n 's/.*"parts":\([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n + 0 }')
echo "$parts parts equal byte for byte; the tasks' logs count $scored; Slurm's log mentions requeues $restarts times"
