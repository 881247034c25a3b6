#!/usr/bin/env bash
# Runs a MinIO server in the foreground, with a bucket named talos, and prints what
# to give to Talos. Its data stays in the folder that is given.
set -euo pipefail
minio=${1:?the server binary} data=${2:?the data folder} address=${3:-127.0.0.1:9000}
# Each folder of the data folder is a bucket.
mkdir -p "$data/talos"
export MINIO_ROOT_USER=talos-demo MINIO_ROOT_PASSWORD=talos-demo-secret MINIO_BROWSER=off MINIO_UPDATE=off
cat <<EOF
MinIO on $address, data in $data, until Ctrl-C. In another terminal:

export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
bin/talos dev --data ${data%/*}/on-s3 --store 's3://talos/demo?endpoint=http://$address'

EOF
exec "$minio" server --quiet --address "$address" "$data"
