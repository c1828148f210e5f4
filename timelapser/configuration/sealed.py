"""The secrets of a file, sealed with a passphrase: AES-256-GCM with a key that scrypt makes of it.

The cost (n 2^17, r 8, p 1: 128 MiB, some tenths of a second) is OWASP's (Password Storage Cheat Sheet, 2023);
the nonce of 96 bits and the salt of 128 bits are fresh for each file (NIST SP 800-38D, 800-132).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from timelapser.configuration.errors import FileRefused

SHORTEST_PASSPHRASE = 8
LONGEST_PASSPHRASE = 1000
COST = {"n": 2**17, "r": 8, "p": 1}
CIPHER = "scrypt, AES-256-GCM"
_SALT_BYTES, _NONCE_BYTES = 16, 12
_WHAT_FOR = b"timelapser-configuration 1"


def seal(secrets: dict[str, Any], passphrase: str) -> dict[str, str]:
    """`secrets` (JSON) in a box that only `passphrase` opens. Raises FileRefused for one that is too short."""
    if not SHORTEST_PASSPHRASE <= len(passphrase) <= LONGEST_PASSPHRASE:
        raise FileRefused(
            f"A passphrase has {SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} characters; leave it empty for a file "
            "without secrets."
        )
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    text = json.dumps(secrets).encode()
    box = AESGCM(_key(passphrase, salt)).encrypt(nonce, text, _WHAT_FOR)
    return {"cipher": CIPHER, "salt": _written(salt), "nonce": _written(nonce), "box": _written(box)}


def unseal(sealed: Any, passphrase: str) -> dict[str, Any]:
    """What `seal` was given. Raises FileRefused: a wrong passphrase and a damaged box look the same."""
    if not isinstance(sealed, dict) or sealed.get("cipher") != CIPHER:
        raise FileRefused("The file's secrets are sealed in a way that is not known here.")
    if len(passphrase) > LONGEST_PASSPHRASE:
        raise FileRefused("The passphrase is wrong.")
    try:
        salt, nonce, box = (_read(sealed.get(name)) for name in ("salt", "nonce", "box"))
        secrets = json.loads(AESGCM(_key(passphrase, salt)).decrypt(nonce, box, _WHAT_FOR))
    except InvalidTag:
        raise FileRefused("The passphrase is wrong, or the sealed part of the file is damaged.") from None
    except (ValueError, TypeError, binascii.Error):
        raise FileRefused("The sealed part of the file is damaged.") from None
    if not isinstance(secrets, dict):
        raise FileRefused("The sealed part of the file is damaged.")
    return secrets


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, **COST).derive(passphrase.encode("utf-8", "surrogatepass"))


def _written(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _read(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)
