# The submission image: what a container of the challenge runs (docs: contract, section 4).
#
#   make image                                     CPU, wheels/ when filled, else the package index
#   make image TORCH_INDEX=https://download.pytorch.org/whl/cu130 IMAGE=stem4d:gpu
#                                                  CUDA build of torch (several GB); run with a GPU
#                                                  where limits.toml says `gpu = true`
#
# A submission of one's own:
#   FROM stem4d:latest
#   COPY my_method.py .
#   ENV STEM4D_ALGORITHM=/app/my_method.py:MyMethod

ARG BASE_IMAGE=python:3.11-slim-bookworm

# --- what the code imports, in one virtual environment --------------------------------------------
FROM ${BASE_IMAGE} AS dependencies
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
# `wheel[s]` matches nothing when the folder is not there, and that is no error.
COPY pyproject.toml constraints.txt tools/common.sh tools/image_dependencies.sh wheel[s] ./
RUN sh image_dependencies.sh /opt/stem4d /opt/stem4d-code "${TORCH_INDEX}"

# --- our own code, compiled -----------------------------------------------------------------------
FROM ${BASE_IMAGE} AS code
WORKDIR /opt/stem4d-code
# Nothing of the organiser's: .dockerignore lets only the container's rooms through.
COPY schemas ./schemas
COPY physics ./physics
COPY algorithms ./algorithms
COPY runner ./runner
# Hash-based: valid whatever the files' times become when layers are copied.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash .

# --- the image ------------------------------------------------------------------------------------
FROM ${BASE_IMAGE}
RUN useradd --uid 1000 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin stem4d
COPY --from=dependencies /opt/stem4d /opt/stem4d
COPY --from=code /opt/stem4d-code /opt/stem4d-code

# The root is read-only at run time; whatever wants to write a cache writes it into the tmpfs.
ENV PATH=/opt/stem4d/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    TMPDIR=/tmp \
    XDG_CACHE_HOME=/tmp/.cache \
    NUMBA_CACHE_DIR=/tmp/.cache/numba \
    TORCHINDUCTOR_CACHE_DIR=/tmp/.cache/inductor \
    TRITON_CACHE_DIR=/tmp/.cache/triton

# A participant's files go here; `python -m` finds modules beside them.
WORKDIR /app
USER 1000:1000
ENTRYPOINT ["python", "-m", "runner.container"]

ARG BASE_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="stem4d" \
      org.opencontainers.image.description="Blind 4D-STEM reconstruction: challenge file in, result file out" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.stem4d.contract-version="1.0"
