# The runner in an image, for those who have an engine but no Python: docker compose run dry-run.
# Never what a submission runs in: this one holds the organiser's rooms.
ARG SUBMISSION_IMAGE=stem4d:latest
FROM ${SUBMISSION_IMAGE}
USER root
WORKDIR /opt/stem4d-host
COPY pyproject.toml constraints.txt LICENSE README.md ./
COPY schemas ./schemas
COPY physics ./physics
COPY algorithms ./algorithms
COPY runner ./runner
RUN python -m pip install --no-cache-dir --constraint constraints.txt ".[host]"
WORKDIR /work
ENTRYPOINT ["stem4d"]
