# The gateway as an image: no root, no shell needed, all state in /data. docs/operating.md says how to run it.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
RUN python -m pip install --no-cache-dir --disable-pip-version-check uv==0.13.8
ENV UV_PROJECT_ENVIRONMENT=/opt/thinkback \
    UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy
# What others wrote changes seldom: a layer of its own.
COPY pyproject.toml uv.lock .python-version ./
RUN uv sync --quiet --frozen --no-dev --extra postgres --no-install-project
COPY README.md LICENSE mitm.toml ./
COPY addon addon
COPY manage_api manage_api
COPY shared shared
RUN uv sync --quiet --frozen --no-dev --extra postgres --no-editable && install -d -m 0700 /data

FROM ${BASE}
COPY --from=build /opt/thinkback /opt/thinkback
COPY --from=build --chown=10001:10001 /data /data
# In a container, only what is published reaches the port; registration stays closed on it unless it is opened.
ENV PATH=/opt/thinkback/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/data \
    PYTHONUNBUFFERED=1 \
    LISTEN_ADDR=0.0.0.0:8787 \
    DATA_DIR=/data
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 8787
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["thinkback", "status"]
ENTRYPOINT ["thinkback"]
CMD ["up"]
