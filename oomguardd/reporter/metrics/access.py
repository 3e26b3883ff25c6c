"""Who may scrape: the bearer token and the certificate, read from the files that the configuration names.

Rule of this file: what cannot be read lets nobody in. Files are small, and read at start and at reload only.
"""

from __future__ import annotations

import hmac
import os
import ssl
import stat
from dataclasses import dataclass

from oomguardd.telling import MetricsSettings

LONGEST_TOKEN_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Access:
    """What a client has to show, and how it is talked to."""

    token: bytes | None = None
    """None: nobody has to show one."""
    tls: ssl.SSLContext | None = None
    """None: plain HTTP."""
    closed: str = ""
    """Why nobody is let in, with the remedy; empty if somebody may be."""
    warnings: tuple[str, ...] = ()

    def admits(self, authorization: str) -> bool:
        """Whether that header is right. It takes as long for one wrong token as for another."""
        if self.token is None:
            return True
        scheme, _, shown = authorization.partition(" ")
        right = hmac.compare_digest(shown.strip().encode("latin-1", "replace"), self.token)
        return right and scheme.lower() == "bearer"


def load_access(settings: MetricsSettings) -> Access:
    """As the files are now. What is wrong with them is in `closed`; nothing is raised."""
    token, warnings = None, []
    try:
        if settings.token_file is not None:
            token = _read_token(settings.token_file)
            if os.stat(settings.token_file).st_mode & stat.S_IROTH:
                warnings.append(f"{settings.token_file}: everybody can read the token (chmod o= it)")
        tls = _open_tls(settings.tls_cert, settings.tls_key)
    except AccessError as error:
        return Access(closed=str(error))
    except OSError as error:
        return Access(closed=f"{settings.token_file}: {error.strerror} (metrics.token_file)")
    return Access(token, tls, "", tuple(warnings))


class AccessError(Exception):
    """Which file is of no use, why, and what to do."""


def _open_at_once(path: str, flags: int) -> int:
    """A FIFO in its place must not keep us waiting."""
    return os.open(path, flags | os.O_NONBLOCK)


def _read_token(path: str) -> bytes:
    try:
        with open(path, "rb", opener=_open_at_once) as stream:
            token = stream.read(LONGEST_TOKEN_BYTES + 1) or b""
    except OSError as error:
        remedy = "metrics.token_file: the user that runs the reporter, oomguard, has to be able to read it"
        raise AccessError(f"{path}: {error.strerror} ({remedy})") from None
    token = token.strip()
    if not token or len(token) > LONGEST_TOKEN_BYTES or not all(0x21 <= byte <= 0x7E for byte in token):
        example = "openssl rand -hex 32 makes a good one"
        raise AccessError(f"{path}: holds no token, which is one word without blanks ({example})")
    return token


def _open_tls(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    if cert is None or key is None:
        return None
    for path, setting in ((cert, "tls_cert"), (key, "tls_key")):
        if not os.access(path, os.R_OK):
            word = "cannot be read" if os.path.exists(path) else "does not exist"
            remedy = "the user that runs the reporter, oomguard, has to be able to read it"
            raise AccessError(f"{path}: {word} (metrics.{setting}: {remedy})")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An encrypted key would be asked for on the terminal.
        context.load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise AccessError(f"{cert} and {key}: no certificate with its unencrypted key ({reason})") from None
    return context
