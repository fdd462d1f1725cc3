"""Traces of a worker by OpenTelemetry, sent on by OTLP: the extra `otel`."""

from __future__ import annotations

import os
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from temporalio.client import Plugin
from temporalio.contrib.opentelemetry import OpenTelemetryPlugin, create_tracer_provider


def plugin() -> Plugin:
    """What traces the workflows and activities of a client and its workers."""
    name = os.environ.get("OTEL_SERVICE_NAME", "handrail")
    provider = create_tracer_provider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return OpenTelemetryPlugin(add_temporal_spans=True)


def flush() -> None:
    """Send on what is not sent yet."""
    provider: Any = trace.get_tracer_provider()
    provider.shutdown()
