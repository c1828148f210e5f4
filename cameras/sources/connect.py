"""Reaching a camera's port: names resolved and addresses checked here, within the deadline."""

import socket
import ssl
from functools import partial

import httpx

from cameras.sources.addresses import check_resolved
from cameras.sources.deadline import Deadline, call_within
from cameras.sources.errors import (
    CameraRefused,
    ConnectTimedOut,
    NameNotFound,
    SourceError,
    TlsRefused,
    Unreachable,
)


def resolve(host: str, port: int, deadline: Deadline, *, allow_loopback: bool) -> list[str]:
    """The allowed addresses of a host; raises AddressRefused, and NameNotFound also when DNS hangs."""
    return call_within(
        deadline, partial(check_resolved, host, port, allow_loopback=allow_loopback), late=NameNotFound
    )


def connect(host: str, port: int, deadline: Deadline, *, allow_loopback: bool) -> socket.socket:
    """A TCP connection to the first of the host's addresses that takes one."""
    failure: SourceError = NameNotFound()
    for ip in resolve(host, port, deadline, allow_loopback=allow_loopback):
        try:
            connection = socket.create_connection((ip, port), timeout=deadline.remaining_s())
        except OSError as error:
            failure = connection_failure(error)
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    raise failure


def connection_failure(error: OSError) -> SourceError:
    match error:
        case ConnectionRefusedError():
            return CameraRefused()
        case TimeoutError():
            return ConnectTimedOut()
    return Unreachable()


def start_tls(
    connection: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline
) -> ssl.SSLSocket:
    """TLS over a connection; raises TlsRefused, ConnectTimedOut, Unreachable."""
    connection.settimeout(deadline.remaining_s())
    try:
        return context.wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        failure: SourceError = TlsRefused(
            f"The camera's certificate is not accepted: {error.verify_message}."
        )
    except TimeoutError:
        failure = ConnectTimedOut("The camera took the connection, but did not begin to encrypt in time.")
    except (ssl.SSLError, ConnectionError):
        failure = TlsRefused("The camera does not speak TLS here, or none that is still accepted.")
    except OSError:
        failure = Unreachable()
    connection.close()
    raise failure


def tls_context(*, verify: bool) -> ssl.SSLContext:
    """Authorities of the system and of certifi; without verification also the weak ciphers of old cameras."""
    if verify:
        context = httpx.create_ssl_context(trust_env=False)
        context.load_default_certs()
        return context
    context = httpx.create_ssl_context(verify=False, trust_env=False)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
