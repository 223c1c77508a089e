"""Asking a container over the network: HTTP requests and TCP connections, with failures told as Go tells them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import anyio
import attrs
from anyio.abc import ByteStream

from orchestra.errors import OrchestraError
from orchestra.node import http

if TYPE_CHECKING:
    from orchestra.api.core import Container, HTTPGetAction, TCPSocketAction

MAX_REDIRECTS = 10
USER_AGENT = "kube-probe/1.36"


class NoAnswer(OrchestraError):
    """The container could not be asked, or did not answer."""


class BadPort(OrchestraError):
    """A port is named that the container does not have."""


@attrs.frozen(kw_only=True)
class HTTPAnswer:
    """What a container answered; `elsewhere`: it sent the caller to another host, which is not followed."""

    status: int
    body: str
    elsewhere: bool = False

    @property
    def good(self) -> bool:
        """Whether the status is one from 200 to 399."""
        return 200 <= self.status < 400


def port_number(container: Container, port: int | str) -> int:
    """Return the number of a port that a probe or hook names; raises BadPort when the container has none so."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    for declared in container.ports:
        if declared.name == port:
            return declared.container_port
    raise BadPort(f'strconv.Atoi: parsing "{port}": invalid syntax')


async def connect(container: Container, action: TCPSocketAction, ip: str, timeout_seconds: float) -> None:
    """Open a TCP connection and close it; raises NoAnswer or BadPort."""
    host, port = action.host or ip, port_number(container, action.port)
    try:
        with anyio.fail_after(timeout_seconds):
            async with await anyio.connect_tcp(host, port):
                return
    except TimeoutError:
        raise NoAnswer(f"dial tcp {host}:{port}: i/o timeout") from None
    except OSError as error:
        raise NoAnswer(f"dial tcp {host}:{port}: {_words(error)}") from error


async def get(container: Container, action: HTTPGetAction, ip: str, timeout_seconds: float) -> HTTPAnswer:
    """Send one HTTP request, follow redirects on the same host, and return the answer; raises NoAnswer or BadPort.

    Certificates are not verified: the caller asks for life, not for identity (Kubernetes does the same).
    """
    host, port = action.host or ip, port_number(container, action.port)
    secure = (action.scheme or "HTTP").upper() == "HTTPS"
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    url = f"{'https' if secure else 'http'}://{host}:{port}{path}"
    try:
        with anyio.fail_after(timeout_seconds):
            return await _follow(url, action)
    except TimeoutError:
        text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        raise NoAnswer(f'Get "{url}": {text}') from None
    except ValueError as error:  # a redirect to what is no address
        raise NoAnswer(f'Get "{url}": {error}') from error
    except http.HTTP_ERRORS as error:
        words = _words(error)
        dial = f"dial tcp {host}:{port}: " if words.startswith("connect: ") else ""
        raise NoAnswer(f'Get "{url}": {dial}{words}') from error


async def _follow(url: str, action: HTTPGetAction) -> HTTPAnswer:
    for _ in range(MAX_REDIRECTS):
        parts = urlsplit(url)
        headers = {"Host": parts.netloc, "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
        for header in action.http_headers:
            headers = {k: v for k, v in headers.items() if k.lower() != header.name.lower()}
            headers[header.name] = header.value
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        async with await _connect(parts.hostname or "", parts.port, secure=parts.scheme == "https") as stream:
            answer = await http.ask(stream, target, headers)
        if not answer.location or not 300 <= answer.status < 400:
            return HTTPAnswer(status=answer.status, body=answer.body)
        url = urljoin(url, answer.location)
        if urlsplit(url).hostname != parts.hostname:
            return HTTPAnswer(status=answer.status, body=answer.body, elsewhere=True)
    raise NoAnswer(f'Get "{url}": stopped after {MAX_REDIRECTS} redirects')


async def _connect(host: str, port: int | None, *, secure: bool) -> ByteStream:
    if not secure:
        return await anyio.connect_tcp(host, port or 80)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return await anyio.connect_tcp(host, port or 443, ssl_context=context, tls_standard_compatible=False)


def _words(error: BaseException) -> str:
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, ConnectionRefusedError):
        return "connect: connection refused"
    if isinstance(cause, anyio.EndOfStream):
        return "EOF"
    return str(cause) or type(cause).__name__
