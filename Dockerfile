# One image for every process: `docker run runrelay receiver | worker | emulator | check | …`
ARG BASE=python:3.11-slim
ARG VERSION=0.1.0
# `sinks` has what every sink needs; `runtime`, a third of the size, what the others do without.
ARG PACKAGES=sinks

FROM ${BASE} AS build
ARG VERSION
ARG PACKAGES
COPY requirements/${PACKAGES}.txt /tmp/packages.txt
# Both secrets are optional: pip settings and a CA bundle of a network that needs its own. Neither stays in a layer.
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    if [ -s /run/secrets/ca.pem ]; then export PIP_CERT=/run/secrets/ca.pem; fi; \
    export PIP_CONFIG_FILE=/run/secrets/pip.conf && \
    python3 -m venv /opt/venv && \
    /opt/venv/bin/python3 -m pip install --no-cache-dir --disable-pip-version-check --progress-bar off \
        --require-hashes --only-binary :all: --requirement /tmp/packages.txt && \
    /opt/venv/bin/python3 -m pip uninstall --yes pip setuptools
COPY config /app/config
COPY receiver /app/receiver
COPY workers /app/workers
COPY emulator /app/emulator
COPY console /app/console
COPY scripts/healthy.py /opt/healthy.py
# Compiled here because nothing can be written where the image runs; readable whatever umask the checkout had.
RUN /opt/venv/bin/python3 -m compileall -q --invalidation-mode unchecked-hash /app && \
    chmod -R a+rX /app /opt/healthy.py
# The command, and what it answers to --version: no distribution of ours is installed that could.
RUN printf 'Metadata-Version: 2.1\nName: runrelay\nVersion: %s\n' "${VERSION}" > /app/runrelay.egg-info && \
    printf '%s\n' '#!/opt/venv/bin/python3 -P' 'import sys' 'from console.cli.main import main' 'sys.exit(main())' \
        > /opt/runrelay && chmod 0755 /opt/runrelay

FROM ${BASE}
ARG VERSION
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Runrelay" \
      org.opencontainers.image.description="Delivers what finished Actor runs left behind, with a receipt" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 runrelay && \
    useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /var/lib/runrelay \
        --shell /usr/sbin/nologin runrelay && \
    install -d -o 10001 -g 10001 -m 0750 /var/lib/runrelay /var/spool/runrelay && \
    install -d /etc/runrelay
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY --from=build /opt/healthy.py /opt/healthy.py
COPY --from=build /opt/runrelay /usr/local/bin/runrelay
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RUNRELAY_CONFIG=/etc/runrelay/runrelay.yaml \
    RUNRELAY_SPOOL_DIR=/var/spool/runrelay
USER 10001:10001
# Relative paths in runrelay.yaml start here. Mount a volume on it for a `file` sink; part files get one by themselves.
WORKDIR /var/lib/runrelay
VOLUME ["/var/spool/runrelay"]
EXPOSE 8080 8082
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=20s --retries=3 \
    CMD ["python3", "-I", "/opt/healthy.py", "8080", "8082", "8090"]
ENTRYPOINT ["runrelay"]
CMD ["receiver", "--host", "0.0.0.0"]
