"""Basic (RFC 7617) and digest (RFC 2617) logins, the side of the camera, for HTTP and RTSP alike."""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Literal

_PARAMETER = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


class Login:
    def __init__(
        self,
        username: str,
        password: str,
        kind: Literal["basic", "digest"] = "digest",
        *,
        has_qop: bool = False,
    ) -> None:
        self._username = username
        self._password = password
        self._kind = kind
        self._has_qop = has_qop
        self._nonce = secrets.token_hex(16)

    def challenge(self) -> str:
        """The value of WWW-Authenticate."""
        if self._kind == "basic":
            return 'Basic realm="timelapser demonstration"'
        qop = ', qop="auth"' if self._has_qop else ""
        return f'Digest realm="timelapser demonstration", nonce="{self._nonce}"{qop}'

    def accepts(self, method: str, authorization: str) -> bool:
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() != self._kind:
            return False
        if self._kind == "basic":
            expected = base64.b64encode(f"{self._username}:{self._password}".encode())
            return hmac.compare_digest(rest.strip().encode(), expected)
        return self._accepts_digest(method, rest)

    def _accepts_digest(self, method: str, parameters: str) -> bool:
        given = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(parameters)}
        if given.get("nonce") != self._nonce or given.get("username") != self._username:
            return False
        first = _md5(f"{self._username}:{given.get('realm', '')}:{self._password}")
        second = _md5(f"{method}:{given.get('uri', '')}")
        middle = self._nonce
        if "qop" in given:
            middle += f":{given.get('nc', '')}:{given.get('cnonce', '')}:{given['qop']}"
        expected = _md5(f"{first}:{middle}:{second}")
        return hmac.compare_digest(given.get("response", "").encode(), expected.encode())


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
