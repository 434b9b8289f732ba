"""PEM texts, which is how Secrets hold certificates, into an ``ssl.SSLContext``, which takes files only.

They pass through anonymous memory: a key has no business in a file.
"""

from __future__ import annotations

import os
import ssl


def load_certificate(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    """Show this certificate from now on. Raises ``ssl.SSLError`` when the two are not a pair of PEM texts."""
    memory = os.memfd_create("certificate", os.MFD_CLOEXEC)
    with os.fdopen(memory, "w") as file:
        file.write(f"{certificate}\n{private_key}")
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{memory}", password=_no_password)


def _no_password() -> str:
    """For an encrypted key: without it OpenSSL would ask on the terminal, and the process would hang."""
    return ""
