#!/usr/bin/env bash
# Installs the servers that `make test-services` runs and that are no Python packages: RabbitMQ, Mosquitto and MariaDB
# from the system's packages (apt), Azurite from npm. What is there already is left alone; no service is started.
#   scripts/services.sh
# Azurite goes to .venv/services; `make clean` takes it away again.
set -euo pipefail
cd "$(dirname "$0")/.."

AZURITE=3.35.0
services=.venv/services

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

PATH=$PATH:/usr/sbin
lacking=()
command -v rabbitmq-server >/dev/null || lacking+=(rabbitmq-server)
command -v mosquitto >/dev/null || lacking+=(mosquitto)
command -v mariadbd >/dev/null || lacking+=(mariadb-server-core)
command -v npm >/dev/null || lacking+=(nodejs npm)

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi; }

# Debian asks this file before it starts the service of a package it installs; 101 means no.
stay_down() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then return; fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    trap 'as_root rm -f "$policy"' EXIT
}

if [ ${#lacking[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        echo "These tests need ${lacking[*]}: install them with your system's package manager, then try again." >&2
        exit 1
    fi
    say "Installing ${lacking[*]} (once) …"
    stay_down
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${lacking[@]}" >/dev/null
fi

if [ "$(cat "$services/.azurite" 2>/dev/null)" != "$AZURITE" ]; then
    say "Installing azurite $AZURITE into $services (once) …"
    npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$services" "azurite@$AZURITE" >/dev/null
    echo "$AZURITE" > "$services/.azurite"
fi
