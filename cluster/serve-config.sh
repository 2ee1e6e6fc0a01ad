#!/usr/bin/env bash
# Copies configs/cluster.yaml into the RayService, which wants it as text, at its end, and beside the
# bulk run: kustomize reads no files from outside its folder.
set -euo pipefail
cd "$(dirname "$0")"
marker='^  serveConfigV2: |$'
grep --quiet "$marker" kuberay/rayservice.yaml || {
  echo "kuberay/rayservice.yaml has no line 'serveConfigV2: |'." >&2
  exit 1
}
manifest=$(sed "/$marker/q" kuberay/rayservice.yaml)
{
  echo "$manifest"
  sed 's/^./    &/' ../configs/cluster.yaml
} >kuberay/rayservice.yaml
cp ../configs/cluster.yaml bulk/cluster.yaml
