"""What can go wrong while a still is read: one tree of types, each with its words for the user.

    SourceError
    |-- AddressRefused      the policy forbids the address
    |-- NameNotFound        no such host name
    |-- Unreachable         no route, network down, connection torn
    |   |-- CameraRefused       nobody listens on the port
    |   `-- ConnectTimedOut     nobody answers at all
    |-- ReadTimedOut        connected, then silence or too slow
    |   `-- NoKeyFrame          packets came, no whole key frame among them
    |-- TlsRefused          certificate or handshake not accepted
    |-- LoginRefused        user name or password wrong or missing
    |-- NotFound            the camera knows no such path, file or folder
    |-- NotAVideo           an answer, but no video stream
    |-- NotAPicture         an answer, but no JPEG or PNG
    |-- NotOnvif            an answer, but not in the language of ONVIF (onvif.py)
    |-- TooLarge            more bytes than allowed
    `-- BrokenPicture       a damaged or half picture

The docstring of a class is its default message. Messages never hold an address or anything the peer
sent: cameras are addressed with passwords in their queries, and peers echo what they were told.
"""

from typing import ClassVar


class SourceError(Exception):
    """The camera gave no still."""

    code: ClassVar[str] = "source_error"
    advice: ClassVar[str] = "Test the connection again; if it stays, look at the camera itself."
    is_retryable: ClassVar[bool] = True

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class AddressRefused(SourceError):
    """This address is not allowed for a camera."""

    code = "address_refused"
    advice = (
        "Write the camera's address as it is reached on the network, or ask the administrator to allow it."
    )
    is_retryable = False


class NameNotFound(SourceError):
    """The host name of the camera is not known."""

    code = "name_not_found"
    advice = "Check the spelling, or write the camera's IP address instead of its name."


class Unreachable(SourceError):
    """The camera cannot be reached, or it tore the connection."""

    code = "unreachable"
    advice = "Check the camera's power, cable and address, and that this machine is on its network."


class CameraRefused(Unreachable):
    """The host is there, but nothing listens on this port."""

    code = "camera_refused"
    advice = "Check the port, and that the camera's stream is switched on in its own settings."


class ConnectTimedOut(Unreachable):
    """The camera did not answer the connection in time."""

    code = "connect_timed_out"
    advice = "Check the camera's power and address; a firewall that drops packets looks the same."


class ReadTimedOut(SourceError):
    """The camera took the connection, but no whole picture came in time."""

    code = "read_timed_out"
    advice = (
        "The camera may be overloaded or the network slow: restart it, use a smaller stream, allow more time."
    )


class NoKeyFrame(ReadTimedOut):
    """Video came, but no whole key frame in time."""

    code = "no_key_frame"
    advice = (
        "Set a shorter key frame interval (GOP, I-frame interval) in the camera, use TCP, allow more time. "
        "A network that loses packets looks the same."
    )


class TlsRefused(SourceError):
    """No encrypted connection: the certificate or the handshake was not accepted."""

    code = "tls_refused"
    advice = (
        "Many cameras have self-made certificates: switch off the check for this one, or install a valid one."
    )
    is_retryable = False


class LoginRefused(SourceError):
    """The camera did not accept the user name and password."""

    code = "login_refused"
    advice = (
        "Check user name and password; streams may have accounts of their own, and failures lock accounts."
    )
    is_retryable = False


class NotFound(SourceError):
    """The camera answers, but has nothing at this path."""

    code = "not_found"
    advice = "Check the path of the address in the camera's manual; upper and lower case matter."
    is_retryable = False


class NotAVideo(SourceError):
    """There is an answer at this address, but no video."""

    code = "not_a_video"
    advice = (
        "Check that the address is the camera's video stream and that the kind of the camera is chosen right."
    )
    is_retryable = False


class NotAPicture(SourceError):
    """There is an answer at this address, but no JPEG or PNG picture."""

    code = "not_a_picture"
    advice = "The address may be a web page: look for the snapshot address in the camera's manual."
    is_retryable = False


class TooLarge(SourceError):
    """The answer is larger than a picture may be."""

    code = "too_large"
    advice = "Check that the address gives single pictures, not an endless stream."
    is_retryable = False


class BrokenPicture(SourceError):
    """The picture arrived damaged or incomplete."""

    code = "broken_picture"
    advice = "If it happens often, the network loses packets: use TCP, a cable, or a smaller stream."

    def __init__(self, message: str = "", *, encoded: bytes | None = None, codec: str = "") -> None:
        """`encoded` is what came where something may be seen in it, `codec` its kind."""
        super().__init__(message)
        self.encoded = encoded
        self.codec = codec
