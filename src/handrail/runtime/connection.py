"""The connection to Temporal, and what its namespace must know.

Where the Temporal server is, and how to prove who we are to it, is said as Temporal itself defines
it: ``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, ``TEMPORAL_TLS*``, or a
profile file (``TEMPORAL_CONFIG_FILE``, ``TEMPORAL_PROFILE``). So the same worker runs on a laptop,
against a cluster, and against Temporal Cloud.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client, Plugin
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode

from handrail.exceptions import ConfigurationError, ServerUnavailable
from handrail.runtime.settings import Settings

SEARCH_ATTRIBUTES: Mapping[str, IndexedValueType.ValueType] = {
    "HandrailAgent": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "HandrailState": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "HandrailRisk": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "HandrailProblem": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "HandrailReason": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "HandrailWaitingFor": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    "HandrailDeadline": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
}
"""What saved views of the Web UI filter on. The names are promises."""

_POLL = timedelta(milliseconds=250)
_ATTEMPT = timedelta(seconds=10)
# What the SDK's one kind of error says when asking again is of no use.
_HOPELESS = (
    "Unauthenticated",
    "PermissionDenied",
    "Unimplemented",
    "invalid peer certificate",
    "InvalidMessage",  # TLS spoken to a server without it
)


async def connect(
    settings: Settings,
    *,
    plugins: Sequence[Plugin] = (),
    data_converter: DataConverter = DataConverter.default,
    address: str | None = None,
    runtime: Runtime | None = None,
    patience: timedelta = timedelta(seconds=30),
) -> Client:
    """Connect to Temporal as the environment describes it, else to this machine's server.

    ``address`` overrules the environment and its credentials: for the embedded server.
    ``runtime`` carries a worker's metrics. A server that is not up yet is asked again until
    ``patience`` is over.

    Raises:
        ConfigurationError: Temporal's own settings are wrong, the server does not accept the
            credentials, or the namespace does not exist.
        ServerUnavailable: no server answers within ``patience``.
    """
    target = ClientConnectConfig(target_host=address) if address else connection(settings)
    server, last = target.get("target_host", ""), "none at all"
    try:
        async with asyncio.timeout(patience.total_seconds()):
            while True:
                # The SDK does not retry its first connection. And a black hole would otherwise
                # eat the whole patience in one attempt.
                try:
                    async with asyncio.timeout(_ATTEMPT.total_seconds()):
                        client = await Client.connect(
                            server,
                            namespace=target.get("namespace", "default"),
                            api_key=target.get("api_key"),
                            tls=target.get("tls"),
                            rpc_metadata=target.get("rpc_metadata", {}),
                            plugins=plugins,
                            data_converter=data_converter,
                            runtime=runtime,
                        )
                    break
                except TimeoutError:
                    last = f"none within {_ATTEMPT}"
                except RuntimeError as error:
                    last = _worth_asking_again(server, error)
                await asyncio.sleep(_POLL.total_seconds())
            await _require_namespace(client)
            return client
    except TimeoutError:
        raise ServerUnavailable(
            f"No Temporal server answers at {server} (tried for {patience.total_seconds():g} s). "
            "Start one with `handrail dev`, or set TEMPORAL_ADDRESS to the one you mean. "
            f"The last answer was: {last}"
        ) from None


def connection(settings: Settings) -> ClientConnectConfig:
    """Return the arguments for ``Client.connect``, as Temporal's own settings describe them.

    Raises:
        ConfigurationError: a profile or a file that they name does not exist or is wrong.
    """
    file = os.environ.get("TEMPORAL_CONFIG_FILE")
    if file and not Path(file).is_file():
        raise ConfigurationError(f"TEMPORAL_CONFIG_FILE names {file}, which does not exist.")
    try:
        found = ClientConfig.load_client_connect_config()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"Temporal's own settings (TEMPORAL_*, or its profile file) are wrong: {error}"
        ) from error
    found.setdefault("target_host", f"localhost:{settings.temporal_port}")
    return found


def _worth_asking_again(server: str, error: RuntimeError) -> str:
    """What the server said, unless asking again is of no use."""
    said = str(error).removeprefix("Failed client connect: ")
    if any(word in said for word in _HOPELESS):
        raise ConfigurationError(
            f"The Temporal server at {server} does not accept this connection: "
            f"{said}. See TEMPORAL_API_KEY and TEMPORAL_TLS*."
        ) from error
    system = re.search('message: "([^"]+)"', said)
    return system[1] if system else said


async def _require_namespace(client: Client) -> None:
    """Raise for a namespace that does not exist; one that we may not describe is let pass."""
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ConfigurationError(
                f"The Temporal server has no namespace {client.namespace!r}. Create it "
                f"(`temporal operator namespace create -n {client.namespace}`), or set "
                "TEMPORAL_NAMESPACE to the one you mean."
            ) from error


# What a server must know


async def set_retention(client: Client, retention: timedelta) -> None:
    """Keep closed cases for ``retention``, instead of the one day that is the default."""
    duration = Duration()
    duration.FromTimedelta(retention)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace,
            config=NamespaceConfig(workflow_execution_retention_ttl=duration),
        )
    )


async def register_search_attributes(client: Client) -> None:
    """Make the server know :data:`SEARCH_ATTRIBUTES`; harmless when it does already.

    Raises:
        ConfigurationError: they exist with another type, or may not be registered by this
            client; the message holds the commands for somebody who may.
        ServerUnavailable: the server does not answer.
    """
    try:
        missing = await _missing_attributes(client)
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
    except RPCError as error:
        await _explain_refusal(client, error)


async def _explain_refusal(client: Client, error: RPCError) -> None:
    """Raise what a person can act on; return when somebody else registered them meanwhile."""
    if error.status in {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED}:
        raise ServerUnavailable(f"The Temporal server does not answer: {error}") from error
    if error.status is RPCStatusCode.ALREADY_EXISTS and not await _missing_attributes(client):
        return
    raise ConfigurationError(
        f"The search attributes could not be registered in {client.namespace!r} ({error}). "
        f"Have somebody who may do so run:\n{_commands(client.namespace)}"
    ) from error


async def _missing_attributes(client: Client) -> dict[str, IndexedValueType.ValueType]:
    response = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    known = response.custom_attributes
    wrong = [name for name, kind in SEARCH_ATTRIBUTES.items() if known.get(name, kind) != kind]
    if wrong:
        raise ConfigurationError(
            f"Search attributes of another type are in the way in {client.namespace!r}: "
            f"{', '.join(wrong)}. Remove them, then run:\n{_commands(client.namespace)}"
        )
    return {name: kind for name, kind in SEARCH_ATTRIBUTES.items() if name not in known}


def _commands(namespace: str) -> str:
    return "\n".join(
        f"  temporal operator search-attribute create --namespace {namespace} "
        f"--name {name} --type {_type_name(kind)}"
        for name, kind in SEARCH_ATTRIBUTES.items()
    )


def _type_name(kind: IndexedValueType.ValueType) -> str:
    """Return the name that the command line uses: ``KEYWORD_LIST`` is ``KeywordList``."""
    words = IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)
