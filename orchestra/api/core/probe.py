"""Questions and notices that a node sends into a running container."""

from __future__ import annotations

from attrs import frozen

from orchestra.api.object import Struct, declared, freeze_fields, int32, omit_empty


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ExecAction(Struct):
    """Run a command in the container; exit status 0 is success. There is no shell around it."""

    command: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HTTPHeader(Struct):
    """One header of a request."""

    name: str = ""
    value: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HTTPGetAction(Struct):
    """Send a GET request; any status from 200 to 399 is success. `port` is a number or a port's name."""

    path: str = omit_empty()
    port: int | str = 0
    host: str = omit_empty()
    scheme: str = omit_empty(go="v1.URIScheme")
    http_headers: tuple[HTTPHeader, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class TCPSocketAction(Struct):
    """Open a TCP connection; `port` is a number or a port's name."""

    port: int | str = 0
    host: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class GRPCAction(Struct):
    """Ask the gRPC health service of the container."""

    port: int = int32(0)
    service: str | None = declared(required=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SleepAction(Struct):
    """Wait for some seconds."""

    seconds: int = 0


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Probe(Struct):
    """A question asked again and again, and how many answers in a row change the verdict."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = omit_empty(0, int32=True)
    timeout_seconds: int = omit_empty(0, int32=True)
    period_seconds: int = omit_empty(0, int32=True)
    success_threshold: int = omit_empty(0, int32=True)
    failure_threshold: int = omit_empty(0, int32=True)
    termination_grace_period_seconds: int | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LifecycleHandler(Struct):
    """What happens at a turning point of a container's life; exactly one field is set."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Lifecycle(Struct):
    """What happens right after a container starts and right before it is stopped."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str | None = declared(go="v1.Signal")
