#!/usr/bin/env bash
# Installs the system packages that a machine lacks: `system-packages.sh run` those of the service, as
# in the image, `system-packages.sh test` those of its tests, too, as in CI. Debian or Ubuntu, as root.
set -euo pipefail

missing=()

case "${1-}" in run | test) ;; *)
  echo "usage: system-packages.sh run|test" >&2
  exit 2
  ;;
esac

command -v g++ >/dev/null || missing+=(g++) # torch.compile builds its CPU kernels with it
python3 -c 'import pathlib, sysconfig; (pathlib.Path(sysconfig.get_path("include")) / "Python.h").stat()' \
  2>/dev/null || missing+=(python3-dev) # and binds them
# Signs and captions are drawn with these, and read in Korean by Tesseract.
for package in tesseract-ocr-kor fonts-dejavu-core fonts-nanum fonts-wqy-zenhei; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done

if [[ $1 == run ]]; then
  command -v wget >/dev/null || missing+=(wget) # KubeRay's probes, and the image's own
  # `ray up` copies files into containers, and its head starts the other machines.
  command -v rsync >/dev/null || missing+=(rsync)
  command -v ssh >/dev/null || missing+=(openssh-client)
else
  command -v make >/dev/null || missing+=(make)
  command -v curl >/dev/null || missing+=(curl) # the README's examples are run
  command -v git >/dev/null || missing+=(git)
  python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
  # Jobs are tested on a Postgres that the tests start themselves.
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
  # What stands around a cluster is tested with the programs themselves.
  command -v redis-server >/dev/null || missing+=(redis-server)
  command -v nginx >/dev/null || missing+=(nginx)
  command -v promtool >/dev/null || missing+=(prometheus)
fi

if ((${#missing[@]})); then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
