#!/usr/bin/env bash
# Train on several GPUs of one machine, or of several machines with NNODES and NODE_RANK set on each.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]

  CONFIG  a config file
  GPUS    processes on this machine, one per GPU

environment (several machines; start the same command on each):
  NNODES       machines (1)
  NODE_RANK    number of this machine, from 0 (0)
  MASTER_ADDR  address of machine 0 (127.0.0.1)
  PORT         a free port on machine 0 (29500)
  RESTARTS     how often torchrun starts all processes again after one has died; they go on from the newest
               checkpoint, which all machines must see (0)
  PYTHON       the interpreter (the active environment's, else .venv/bin/python)

example: tools/dist_train.sh configs/medcontext/swinunetr_btcv.py 8 --amp --work-dir work_dirs/swinunetr_btcv
TEXT
}

if [[ "${1:-}" == --help || "${1:-}" == -h ]]; then
    usage
    exit 0
fi
if [[ $# -lt 2 || ! "$2" =~ ^[1-9][0-9]*$ ]]; then
    echo "dist_train.sh: needs CONFIG and GPUS (a positive number), got: $*" >&2
    usage >&2
    exit 2
fi
if [[ ! "${RESTARTS:-0}" =~ ^[0-9]+$ ]]; then
    echo "dist_train.sh: RESTARTS must be a number, got: $RESTARTS" >&2
    exit 2
fi
config=$1
gpus=$2
shift 2

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python=${PYTHON:-python}
if [[ -z "${PYTHON:-}${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" && -x "$root/.venv/bin/python" ]]; then
    python="$root/.venv/bin/python" # what make setup made, when no environment is active
fi
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
nnodes=${NNODES:-1}
address=${MASTER_ADDR:-127.0.0.1}
port=${PORT:-29500}
meeting=(--node_rank="${NODE_RANK:-0}" --master_addr="$address" --master_port="$port")
if [[ "${RESTARTS:-0}" != 0 ]]; then
    # A store that outlives the processes still holds the addresses of the dead ones: each start gets its own.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    meeting=(--max_restarts="$RESTARTS" --rdzv_backend=c10d --rdzv_id="${config##*/}" --rdzv_endpoint="$address:$port")
    if ((nnodes == 1)); then
        meeting+=(--local_addr="$address") # a machine by itself need not know its own name
    fi
fi
exec "$python" -m torch.distributed.run \
    --nnodes="$nnodes" \
    "${meeting[@]}" \
    --nproc_per_node="$gpus" \
    "$root/tools/train.py" "$config" --launcher pytorch "$@"
