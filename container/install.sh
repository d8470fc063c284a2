#!/usr/bin/env bash
# Make .venv with everything Parley needs, and ffmpeg if it is missing; run it again after an update.
# With --tests also what the tests need. PYTHON names the interpreter: 3.11 or newer (default: python3).
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Parley needs Python 3.11 or newer; $python is $("$python" --version). Name another one: PYTHON=python3.12 bash $0" >&2
  exit 1
}

if ! command -v ffmpeg >/dev/null || ! command -v ffprobe >/dev/null; then
  as_root=()
  if ((EUID != 0)); then as_root=(sudo); fi
  if ! command -v apt-get >/dev/null || { ((${#as_root[@]})) && ! command -v sudo >/dev/null; }; then
    echo "Parley needs ffmpeg with ffprobe on the PATH; install it with this system's package manager, then go on." >&2
    exit 1
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends ffmpeg
fi

[[ -x .venv/bin/python ]] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-serving.txt
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-listening.txt
if [[ ${1:-} == --tests ]]; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-clip.txt -r requirements-audiocraft.txt
fi
