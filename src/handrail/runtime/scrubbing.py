"""No secret in a heartbeat: what a step reports of its progress, the server shows to everybody."""

from __future__ import annotations

from typing import Any

from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    Interceptor,
)
from typing_extensions import override

from handrail.agent import without_secrets


class SecretScrubber(Interceptor):
    """Masks secrets in the heartbeats of activities."""

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Stand before what Temporal sends."""
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    @override
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(ActivityOutboundInterceptor):
    @override
    def heartbeat(self, *details: Any) -> None:
        super().heartbeat(*map(without_secrets, details))
