#!/usr/bin/env bash
# Builds the image and looks inside it. Docker is used where its engine answers, else buildah, which needs no engine.
#   scripts/image.sh [NAME:TAG]        default: runrelay:<version of pyproject.toml>
# Environment: BASE (image to build on), SUITE (Debian release buildah builds a base of when BASE is not set),
# IMAGE_STORE (where buildah keeps layers).
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
image=${1:-runrelay:$version}
suite=${SUITE:-bookworm}
store=${IMAGE_STORE:-${XDG_CACHE_HOME:-$HOME/.cache}/runrelay/images}
work=$(mktemp -d)
container=
trap 'clean_up' EXIT

clean_up() {
    if [ -n "$container" ]; then engineless rm "$container" >/dev/null || true; fi
    rm -rf "$work"
}

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

# --- what pip needs to reach its index from here; handed over as build secrets, so that no layer keeps it

pip_settings() {
    python3 -m pip config list 2>/dev/null | python3 -c '
import ast, sys
print("[global]")
for line in sys.stdin:
    name, value = line.rstrip("\n").split("=", 1)
    option = name.partition(".")[2]
    if option in {"index-url", "extra-index-url", "trusted-host", "timeout", "default-timeout", "proxy"}:
        # A folder of this machine means nothing inside.
        if words := [word for word in ast.literal_eval(value).split() if not word.startswith("file:")]:
            print(option, "=", " ".join(words))
' || true
}

ca_bundle() {
    local file
    for file in "${PIP_CERT:-}" "${SSL_CERT_FILE:-}"; do
        if [ -n "$file" ] && [ -s "$file" ]; then cat "$file"; return; fi
    done
}

write_secrets() {
    (umask 077; pip_settings >"$work/pip.conf"; ca_bundle >"$work/ca.pem")
}

build_arguments() {
    printf '%s\n' --tag "$image" --build-arg "REVISION=$revision" \
        --secret "id=pip.conf,src=$work/pip.conf" --secret "id=ca.pem,src=$work/ca.pem"
}

# --- docker

with_docker() {
    local arguments
    mapfile -t arguments < <(build_arguments)
    if [ -n "${BASE:-}" ]; then arguments+=(--build-arg "BASE=$BASE"); fi
    DOCKER_BUILDKIT=1 docker build "${arguments[@]}" .
}

in_docker() {
    docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp \
        --env APIFY_TOKEN=t --env HOOK_SECRET=s --env DELIVERY_URL=http://127.0.0.1:9/ \
        --volume "$PWD/k8s/base/runrelay.yaml:/etc/runrelay/runrelay.yaml:ro" \
        --entrypoint "$1" "$image" "${@:2}"
}

# --- buildah: chroot isolation and the vfs store run where namespaces and overlay mounts do not

engineless() {
    buildah --root "$store" --runroot "$store/run" --storage-driver vfs "$@"
}

debian_base() {
    local name=runrelay-base:$suite base
    if ! engineless inspect --type image "$name" >/dev/null 2>&1; then
        say "base image: Debian $suite, Python only"
        mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$work/base.tar"
        base=$(engineless from scratch)
        engineless add --quiet "$base" "$work/base.tar" / >/dev/null
        engineless commit --quiet --rm "$base" "$name" >/dev/null
    fi
    echo "localhost/$name"
}

with_buildah() {
    local arguments
    mapfile -t arguments < <(build_arguments)
    # The docker format: the other one cannot say HEALTHCHECK.
    engineless bud --format docker --isolation chroot --pull-never \
        --build-arg "BASE=${BASE:-$(debian_base)}" "${arguments[@]}" .
    engineless rmi --prune >/dev/null
    container=$(engineless from --pull-never "localhost/$image")
}

in_buildah() {
    engineless run --isolation chroot \
        --env APIFY_TOKEN=t --env HOOK_SECRET=s --env DELIVERY_URL=http://127.0.0.1:9/ \
        --volume "$PWD/k8s/base/runrelay.yaml:/etc/runrelay/runrelay.yaml:ro" \
        "$container" -- "$@"
}

# --- the same questions to either

look_inside() {
    local inside=$1 told
    say "inside $image"
    "$inside" sh -c 'python3 --version && id -u && test "$(id -u)" = 10001'
    told=$("$inside" runrelay --version)
    say "$told"
    [[ $told == *"$version"* ]]
    "$inside" runrelay check
    "$inside" sh -c "$start_and_stop"
}

# A receiver comes up, is healthy without its queue, and ends with 0 when told to. It picks its port itself, since
# chroot isolation shares the host's network.
start_and_stop='
    runrelay receiver --port 0 --json > /tmp/said & receiver=$!
    tries=0
    until grep -qs "\"url\"" /tmp/said && python3 -I /opt/healthy.py "$(sed -n "s/.*:\([0-9]*\)\".*/\1/p;q" /tmp/said)"; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ]; then echo "the receiver never answered"; kill $receiver; exit 1; fi
        sleep 0.2
    done
    kill $receiver && wait $receiver && echo "the receiver started, answered and stopped"
'

if docker info >/dev/null 2>&1; then engine=docker
elif command -v buildah >/dev/null && command -v mmdebstrap >/dev/null; then engine=buildah
else
    echo "image: no docker engine answers and buildah is missing: apt-get install buildah mmdebstrap" >&2
    exit 1
fi

say "building $image with $engine"
write_secrets
"with_$engine"
look_inside "in_$engine"
say "built $image"
