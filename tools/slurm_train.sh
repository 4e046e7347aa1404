#!/usr/bin/env bash
# Train under Slurm, on one node or several: one task per GPU, started by srun.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tools/slurm_train.sh PARTITION JOB CONFIG [arguments of tools/train.py]

  PARTITION  a Slurm partition
  JOB        name of the job
  CONFIG     a config file

environment:
  GPUS           GPUs in all (8)
  GPUS_PER_NODE  GPUs on each node (GPUS, at most 8); nodes = GPUS / GPUS_PER_NODE
  CPUS_PER_TASK  cores of each task (5)
  SRUN_ARGS      more arguments of srun, such as "--time=24:00:00 --mem=0"
  PORT           port of rank 0 (29500)
  PYTHON         the interpreter (the active environment's, else .venv/bin/python)

example: GPUS=16 tools/slurm_train.sh gpu swin configs/medcontext/swinunetr_btcv.py --amp
TEXT
}

if [[ "${1:-}" == --help || "${1:-}" == -h ]]; then
    usage
    exit 0
fi
if [[ $# -lt 3 ]]; then
    echo "slurm_train.sh: needs PARTITION, JOB and CONFIG, got: $*" >&2
    usage >&2
    exit 2
fi
partition=$1
job=$2
config=$3
shift 3

gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
if ((gpus % per_node != 0)); then
    echo "slurm_train.sh: GPUS must be a multiple of GPUS_PER_NODE, got $gpus and $per_node" >&2
    exit 2
fi

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export MASTER_PORT="${PORT:-29500}"
python=${PYTHON:-python}
if [[ -z "${PYTHON:-}${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" && -x "$root/.venv/bin/python" ]]; then
    python="$root/.venv/bin/python" # what make setup made, when no environment is active
fi
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
# SRUN_ARGS is split into words on purpose.
# shellcheck disable=SC2086
exec srun \
    --partition="$partition" \
    --job-name="$job" \
    --nodes="$((gpus / per_node))" \
    --ntasks="$gpus" \
    --ntasks-per-node="$per_node" \
    --gres="gpu:$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "$python" -u "$root/tools/train.py" "$config" --launcher slurm "$@"
