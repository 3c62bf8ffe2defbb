"""Prometheus metrics for operators: no speech, no text, no ids of users."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from streaming.instruments.ledger import Latency
from streaming.server.worker import Done

SECONDS = (0.001, 0.003, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.3, 2.6, 5.0)


class _Asked(Collector):
    def __init__(self, figures: Callable[[], Iterable[Metric]]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """The figures as they are now."""
        return self._figures()


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.sessions = Gauge("salmonn_sessions", "Sessions now", registry=registry)
        self.refused = Counter(
            "salmonn_connections_refused", "Connections refused", ["why"], registry=registry
        )
        self.cut = Counter(
            "salmonn_connections_cut", "Connections cut off", ["why"], registry=registry
        )
        self.resumed = Counter("salmonn_sessions_resumed", "Sessions resumed", registry=registry)
        self.errors = Counter(
            "salmonn_session_errors", "Sessions ended by an error", registry=registry
        )
        self._heard = Counter("salmonn_audio_seconds", "Audio heard", registry=registry)
        self._work = Histogram(
            "salmonn_step_seconds",
            "Steps of the model",
            ["work"],
            registry=registry,
            buckets=SECONDS,
        )
        self._first_text = Histogram(
            "salmonn_first_text_seconds",
            "From the endpoint to the first text, waiting by choice apart",
            registry=registry,
            buckets=SECONDS,
        )
        self._wait = Histogram(
            "salmonn_endpoint_wait_seconds",
            "Silence waited for before an utterance counted as over",
            registry=registry,
            buckets=SECONDS,
        )
        self._stages = Histogram(
            "salmonn_reply_seconds",
            "Work on a reply before its first text: speculatively during the wait, or after it",
            ["stage"],
            registry=registry,
            buckets=SECONDS,
        )
        self._tokens = Histogram(
            "salmonn_tokens_per_second", "Of replies", registry=registry,
            buckets=(5, 10, 20, 30, 40, 50, 60, 80, 100, 150),
        )  # fmt: skip
        self._ear = Histogram(
            "salmonn_ear_real_time_factor", "Seconds of listening per second of audio",
            registry=registry, buckets=(0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0),
        )  # fmt: skip
        self._before_end = Histogram(
            "salmonn_prefilled_share", "Part of a reply's windows that was in the KV cache when "
            "speech ended", registry=registry, buckets=(0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0),
        )  # fmt: skip

    def add(self, figures: Callable[[], Iterable[Metric]]) -> None:
        """Add figures that are asked for whenever somebody reads the metrics."""
        self._registry.register(_Asked(figures))

    def step(self, done: Done, samples: int, rate: int) -> None:
        """Count a step, in which a session processed `samples` samples."""
        self._work.labels(done.work.value).observe(done.seconds)
        self._heard.inc(samples / rate)

    def reply(self, latency: Latency) -> None:
        """Count a reply, and where its time went."""
        self._first_text.observe(latency.compute_ms / 1000)
        self._wait.observe(latency.endpoint_wait_ms / 1000)
        stages = {
            "secret": latency.secret_ms,
            "backlog": latency.backlog_ms,
            "encode": latency.encode_ms,
            "prefill": latency.prefill_ms,
            "first_token": latency.first_token_ms,
        }
        for stage, milliseconds in stages.items():
            self._stages.labels(stage).observe(milliseconds / 1000)
        self._ear.observe(latency.ear_rtf)
        if latency.tokens_per_s:
            self._tokens.observe(latency.tokens_per_s)
        if latency.windows:
            self._before_end.observe(latency.prefilled_before_end / latency.windows)

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)
