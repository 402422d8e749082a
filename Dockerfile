# The server with the web app. docs/docker.md says how to build, run and reach it.

# Stage 1: the wheel, with the web app inside (its Node.js comes from PyPI).
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /source
RUN python -m pip install --no-cache-dir --disable-pip-version-check build==1.3.0
COPY . .
RUN python -m build --wheel --outdir /wheels

# Stage 2: the installation, in a folder that moves as a whole.
FROM python:3.11.14-slim-bookworm AS install
COPY constraints.txt /
COPY --from=build /wheels /wheels
RUN python -m venv /opt/facecctv
# The wheel's own path with its extra, as pip takes no pattern with one.
RUN wheel="$(echo /wheels/facecctv-*.whl)" \
    && /opt/facecctv/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --constraint /constraints.txt "facecctv[demo,serve] @ file://${wheel}" \
    && /opt/facecctv/bin/facecctv doctor

# Stage 3: what runs. No compiler, no sources, nobody's rights.
FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="FaceCCTV" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=install /opt/facecctv /opt/facecctv
# /data holds the server's own authority and certificate, and nothing else.
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin facecctv \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
ENV PATH=/opt/facecctv/bin:$PATH \
    HOME=/data \
    XDG_DATA_HOME=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FACECCTV_OFFLINE=1
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8443
# From inside, by the server's own authority: also its certificate has to be in order.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import ssl, urllib.request as u; u.urlopen('https://localhost:8443/healthz', timeout=4, context=ssl.create_default_context(cafile='/data/facecctv/tls/ca.pem'))"]
ENTRYPOINT ["facecctv"]
# Plain HTTP is refused beyond loopback, and a container is reached from beyond: so TLS it is.
CMD ["serve", "--host", "0.0.0.0", "--port", "8443", "--tls", "auto"]
