"""What runs beside the measured app, named by BENCH_VARIANT: nothing, brakit, or a peer (the published SDK, OpenTelemetry, Sentry).

Peers have an environment each (`bench/peers.py`) and their own defaults, with everything recorded, as a tool for development has to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

Flush = Callable[[], None]


def activate() -> Flush:
    """Switch on what BENCH_VARIANT names, before the app imports its libraries; returns what ships all that is recorded."""
    return VARIANTS[os.environ.get("BENCH_VARIANT", "off")]()


def off() -> Flush:
    return lambda: None


def brakit() -> Flush:
    import brakit

    def flush() -> None:
        brakit.flush(5.0)

    return flush


def published() -> Flush:
    """0.1.7 has no way to wait: it sends every 100 ms."""
    import brakit  # noqa: F401

    return lambda: time.sleep(0.3)


def otel() -> Flush:
    """The instrumentations that `opentelemetry-instrument` would switch on, over OTLP."""
    import importlib
    import logging

    def load(module: str, name: str) -> Any:
        return getattr(importlib.import_module(f"opentelemetry.{module}"), name)

    exporter = "exporter.otlp.proto.http"
    endpoint = f"http://127.0.0.1:{os.environ['BENCH_SINK']}"
    traces = load("sdk.trace", "TracerProvider")()
    traces.add_span_processor(
        load("sdk.trace.export", "BatchSpanProcessor")(
            load(f"{exporter}.trace_exporter", "OTLPSpanExporter")(endpoint=f"{endpoint}/v1/traces")
        )
    )
    load("trace", "set_tracer_provider")(traces)
    logs = load("sdk._logs", "LoggerProvider")()
    logs.add_log_record_processor(
        load("sdk._logs.export", "BatchLogRecordProcessor")(
            load(f"{exporter}._log_exporter", "OTLPLogExporter")(endpoint=f"{endpoint}/v1/logs")
        )
    )
    logging.getLogger().addHandler(load("sdk._logs", "LoggingHandler")(level=logging.INFO, logger_provider=logs))
    for module, name in (
        ("fastapi", "FastAPIInstrumentor"),
        ("flask", "FlaskInstrumentor"),
        ("sqlalchemy", "SQLAlchemyInstrumentor"),
        ("httpx", "HTTPXClientInstrumentor"),
        ("logging", "LoggingInstrumentor"),
    ):
        load(f"instrumentation.{module}", name)().instrument()

    def flush() -> None:
        traces.force_flush()
        logs.force_flush()

    return flush


def sentry() -> Flush:
    import importlib

    sentry_sdk: Any = importlib.import_module("sentry_sdk")
    sentry_sdk.init(dsn=f"http://key@127.0.0.1:{os.environ['BENCH_SINK']}/1", traces_sample_rate=1.0, enable_logs=True)
    return lambda: sentry_sdk.flush(5.0)


VARIANTS: dict[str, Callable[[], Flush]] = {
    "off": off,
    "brakit": brakit,
    "published": published,
    "otel": otel,
    "sentry": sentry,
}
