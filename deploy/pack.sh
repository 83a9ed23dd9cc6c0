#!/bin/sh
# Packs what executors need: environment.tar.gz for spark-submit --archives, wheels.zip for Glue.
#   deploy/pack.sh FOLDER    # needs network; run it on the system that the cluster runs (same Python, same libc)
set -eu
out=$1
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Spark itself is the cluster's: the environment has what Shelfcheck needs beside it.
"${PYTHON:-python3}" -m venv --copies "$scratch/environment"
"$scratch/environment/bin/pip" install --quiet --disable-pip-version-check \
  "$here" 'pandas>=2.2,<3' 'sqlglot>=30,<31' boto3 s3fs venv-pack
"$scratch/environment/bin/venv-pack" --quiet --prefix "$scratch/environment" --output "$out/environment.tar.gz" --force

# Glue installs wheels itself. Its own pyarrow and numpy are older than ours: pip replaces them.
"$scratch/environment/bin/pip" wheel --quiet --disable-pip-version-check --wheel-dir "$scratch/wheels" \
  "$here" 'sqlglot>=30,<31' s3fs
(cd "$scratch/wheels" && "$scratch/environment/bin/python" -m zipfile -c "$out/shelfcheck.gluewheels.zip" ./*.whl)
ls -l "$out"
