"""How Twilio signs what it sends. https://www.twilio.com/docs/usage/webhooks/webhooks-security"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def signatures(key: bytes, address: str, form: Mapping[str, str]) -> Iterator[str]:
    """Those that are right: Twilio signs some calls with the port in the address, some without."""
    url = urlsplit(address)
    fields = "".join(name + form[name] for name in sorted(form))
    bare = url.netloc.removesuffix(f":{url.port}")
    for netloc in (url.netloc, bare, bare + DEFAULT_PORTS.get(url.scheme, "")):
        signed = (url._replace(netloc=netloc).geturl() + fields).encode(errors="replace")
        yield b64encode(hmac.digest(key, signed, "sha1")).decode()
