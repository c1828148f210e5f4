"""One picture over HTTP: a shared client with keep-alive, whose sockets obey the deadline of the read."""

import atexit
import logging
import select
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

from cameras.sources.addresses import validate_address
from cameras.sources.connect import connect, start_tls, tls_context
from cameras.sources.contract import Source, SourceSettings, Still
from cameras.sources.deadline import Deadline
from cameras.sources.errors import (
    BrokenPicture,
    LoginRefused,
    NotAPicture,
    NotFound,
    ReadTimedOut,
    SourceError,
    TooLarge,
    Unreachable,
)
from cameras.sources.pictures import read_picture_facts

# At INFO httpx writes each address into the log, and addresses of some makes carry the login in their query.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

MAX_REDIRECTS = 3
MAX_DRAINED_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class _Read:
    """The read that this thread is busy with: the shared client's sockets look it up."""

    deadline: Deadline
    connect_timeout_s: float
    allow_loopback: bool


_read: ContextVar[_Read] = ContextVar("_read")


class HttpSource(Source):
    def read(self) -> Still:
        deadline = Deadline(self.settings.deadline_s)
        with open_answer(self.settings, deadline) as answer:
            encoded = _read_body(answer, self.settings.max_bytes)
        facts = read_picture_facts(encoded)
        return Still(encoded, None, facts.width, facts.height, facts.codec, deadline.elapsed_s())


@contextmanager
def open_answer(settings: SourceSettings, deadline: Deadline) -> Iterator[httpx.Response]:
    """The answer with status 200 behind login and redirects, its body not yet read; raises SourceError.

    Whatever the library raises inside of the `with` block is turned into a SourceError that shows neither the
    original nor the frames below, as those know the address.
    """
    with _within(settings, deadline), closing(_follow(settings)) as answer:
        yield answer


def post(settings: SourceSettings, content: bytes, content_type: str, deadline: Deadline) -> bytes:
    """The body of the answer to a POST, whatever its status but for refused logins and unknown paths; redirects are
    not followed. Raises SourceError, TooLarge beyond `max_bytes`."""
    with _within(settings, deadline):
        client = _client(verify_tls=settings.verify_tls, allow_loopback=settings.allow_loopback)
        # Some leave a body unread and take it for the next request.
        headers = {"Content-Type": content_type, "Accept": "*/*", "Connection": "close"}
        request = client.build_request("POST", settings.address, content=content, headers=headers)
        has_login = bool(settings.username or settings.password)
        with closing(_send(client, request, settings, has_login=has_login)) as answer:
            if answer.status_code in (401, 403, 404, 407, 410):
                _check_status(answer)
            body = bytearray()
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > settings.max_bytes:
                    raise TooLarge
            return bytes(body)


@contextmanager
def _within(settings: SourceSettings, deadline: Deadline) -> Iterator[None]:
    """The read that the shared client's sockets obey; what goes wrong in it comes out as a SourceError."""
    token = _read.set(_Read(deadline, settings.connect_timeout_s, settings.allow_loopback))
    failure: SourceError | None = None
    try:
        yield
    except SourceError as error:
        failure = copy(error)  # to the same one contextlib would give back the frames below
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
        failure = _typed(error)
    finally:
        _read.reset(token)
    if failure is not None:
        raise failure.with_traceback(None) from None


def _typed(error: Exception) -> SourceError:
    match error:
        case httpx.RemoteProtocolError() if "incomplete" in str(error) or "without sending complete" in str(
            error
        ):
            return BrokenPicture("The camera closed the connection before the picture was complete.")
        case httpx.RemoteProtocolError() if "disconnected" in str(error):
            return Unreachable("The camera closed the connection without an answer.")
        case httpx.ProtocolError() | httpx.InvalidURL() | httpx.DecodingError():
            return NotAPicture("What answers there does not speak proper HTTP.")
        case httpx.TimeoutException():
            return ReadTimedOut()
    return Unreachable()


def _follow(settings: SourceSettings) -> httpx.Response:
    """The first answer that is no redirect; each hop obeys the address policy."""
    client = _client(verify_tls=settings.verify_tls, allow_loopback=settings.allow_loopback)
    request = client.build_request("GET", settings.address)
    origin = request.url
    for _ in range(MAX_REDIRECTS + 1):
        has_login = bool(settings.username or settings.password) and _may_know_login(request.url, origin)
        answer = _send(client, request, settings, has_login=has_login)
        if answer.next_request is None:
            _check_status(answer)
            return answer
        answer.close()
        request = client.build_request("GET", answer.next_request.url)
        validate_address(settings.kind, str(request.url), allow_loopback=settings.allow_loopback)
    raise NotFound(f"The camera sends from one address to the next, more than {MAX_REDIRECTS} times.")


def _send(
    client: httpx.Client, request: httpx.Request, settings: SourceSettings, *, has_login: bool
) -> httpx.Response:
    """The answer; a login is sent only when asked for, and in the strongest way that the camera offers."""
    answer = client.send(request, stream=True)
    if answer.status_code != 401 or not has_login:
        return answer
    try:
        again = _with_login(request, answer, settings)
        _drain(answer)
    finally:
        answer.close()
    return client.send(again, stream=True)


def _with_login(request: httpx.Request, answer: httpx.Response, settings: SourceSettings) -> httpx.Request:
    challenges = [challenge.lower() for challenge in answer.headers.get_list("www-authenticate")]
    request.headers.encoding = "utf-8"  # of user names; httpx takes ASCII
    if not any(challenge.startswith("digest ") for challenge in challenges):
        return next(httpx.BasicAuth(settings.username, settings.password).auth_flow(request))
    steps = httpx.DigestAuth(settings.username, settings.password).auth_flow(request)
    next(steps)
    try:
        return steps.send(answer)
    except (httpx.ProtocolError, KeyError, ValueError, NotImplementedError):
        pass
    raise LoginRefused("The camera asks for a kind of digest login that is not known.")


def _drain(answer: httpx.Response) -> None:
    """A short refusal is read to its end, so that the connection can be used again."""
    if (
        int(answer.headers.get("content-length", "0") or 0) < 65_536
        and "transfer-encoding" not in answer.headers
    ):
        for _ in answer.iter_raw():
            pass
    answer.close()


def _check_status(answer: httpx.Response) -> None:
    status = answer.status_code
    if status == 200:
        return
    answer.close()
    if status in (401, 403, 407):
        raise LoginRefused
    if status in (404, 410):
        raise NotFound
    if status in (408, 429) or status >= 500:
        raise Unreachable(f"The camera answers with the error {status}.")
    raise NotAPicture(f"The camera answers with the status {status}.")


def _read_body(answer: httpx.Response, max_bytes: int) -> bytes:
    body = bytearray()
    for chunk in answer.iter_raw():
        if not body and chunk.lstrip()[:1] == b"<":
            raise NotAPicture("There is a web page at this address, not a picture.")
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge
    return bytes(body)


def _may_know_login(url: httpx.URL, origin: httpx.URL) -> bool:
    """The same server, or the same host behind the encrypted port that it points to."""
    if url.host != origin.host:
        return False
    is_same = (url.scheme, url.port) == (origin.scheme, origin.port)
    is_upgrade = (origin.scheme, origin.port, url.scheme, url.port) == ("http", None, "https", None)
    return is_same or is_upgrade


@cache
def _client(*, verify_tls: bool, allow_loopback: bool) -> httpx.Client:
    """One client per process and policy: a new one for each still costs 40 ms (measured), this one 2 ms.

    Clients of different policy share no connections. Cookies are not kept: two cameras behind one host
    must not share a login. Proxies of the environment are not for cameras.
    """
    transport = httpx.HTTPTransport(trust_env=False)
    # httpx has no public way to name the network backend of its transport (encode/httpx discussion 1912).
    transport._pool = httpcore.ConnectionPool(
        ssl_context=tls_context(verify=verify_tls),
        max_connections=None,
        max_keepalive_connections=64,
        keepalive_expiry=30.0,
        network_backend=_Network(),
    )
    client = httpx.Client(
        transport=transport,
        trust_env=False,
        timeout=None,  # noqa: S113 - every socket call is bounded by the deadline of its read, see _Stream
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": "timelapser", "Accept": "image/*, */*;q=0.5", "Accept-Encoding": "identity"},
    )
    atexit.register(client.close)  # the connections that are kept alive end with the process
    return client


class _Network(httpcore.NetworkBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        read = _read.get()
        soon = read.deadline.sooner(read.connect_timeout_s)
        return _Stream(connect(host, port, soon, allow_loopback=read.allow_loopback))


class _Stream(httpcore.NetworkStream):
    """A socket whose every call ends with the deadline of the read that uses it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadline = _read.get().deadline
        deadline.check()
        self._socket.settimeout(deadline.remaining_s())
        try:
            return self._socket.recv(max_bytes)
        except TimeoutError:
            raise ReadTimedOut from None
        except OSError:
            raise Unreachable("The camera tore the connection.") from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._socket.settimeout(_read.get().deadline.remaining_s())
        try:
            self._socket.sendall(buffer)
        except TimeoutError:
            raise ReadTimedOut from None
        except OSError:
            raise Unreachable("The camera tore the connection.") from None

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        read = _read.get()
        soon = read.deadline.sooner(read.connect_timeout_s)
        return _Stream(start_tls(self._socket, ssl_context, server_hostname or "", soon))

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        if info == "is_readable":  # asked before a kept connection is used again
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(0))
        return None
