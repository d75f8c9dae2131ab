# The release gives the base with its digest: --build-arg BASE=python:3.11-slim@sha256:…
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /build
# What is installed is what the lock files say, to the byte: pip refuses whatever has another hash.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /app \
  && /app/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement requirements.lock \
  && python -m venv /tools \
  && /tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY worker worker
# SOURCE_DATE_EPOCH: the same source gives the same wheel.
ARG SOURCE_DATE_EPOCH=0
RUN /tools/bin/hatchling build --target wheel --directory /dist \
  && /app/bin/pip install --no-cache-dir --no-index --no-deps /dist/*.whl \
  && mkdir -p /app/share/consent-worker \
  && /tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
     --output-format JSON --output-file /app/share/consent-worker/sbom.cdx.json /app/bin/python

FROM ${BASE}
# An ARG before the first FROM is known to no stage until it says so.
ARG BASE
ARG VERSION=local
ARG REVISION=unknown
ARG CREATED=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="consent-worker" \
  org.opencontainers.image.description="Delivers Didomi consent events from RabbitMQ to Adobe Experience Platform, and never loses one." \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}" \
  org.opencontainers.image.source="${SOURCE}" \
  org.opencontainers.image.base.name="${BASE}"
COPY --from=build /app /app
# A new volume there belongs to the user that writes the ledger.
RUN install -d -o 10001 -g 10001 -m 700 /var/lib/consent-worker
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8080 8090
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=6 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["consent-worker"]
CMD ["run"]
