"""Short-lived tokens that a blob's address must carry to be read, as the Planetary Computer gives.

Tokens are kept in the process, one a service, account and container, and asked for anew before they
end. A process that is forked keeps those that it has.

Source: https://planetarycomputer.microsoft.com/docs/concepts/sas/
"""

import os
import time
from datetime import datetime
from threading import Lock
from typing import NamedTuple
from urllib.parse import parse_qs, urlparse

import requests

from sits_data.errors import CatalogError
from sits_data.web import TIMEOUT_S, polite_session

MARGIN_S = 300.0
"""A token with less time left is replaced: a read that starts now must still end in time."""

KEY_VARIABLE = "PC_SDK_SUBSCRIPTION_KEY"
"""The user's own key, sent to the service when set; it raises the service's limits."""


class Container(NamedTuple):
    """Where a blob lies, and which service gives tokens for it."""

    service: str
    account: str
    name: str


class _Token(NamedTuple):
    query: str
    renew_at: float


_TOKENS: dict[Container, _Token] = {}
_LOCKS: dict[tuple[int, Container], Lock] = {}


def container_of(href: str, service: str) -> Container:
    """The container of a blob: the account is the first label of its host."""
    url = urlparse(href)
    account, name = (url.hostname or "").partition(".")[0], url.path.lstrip("/").partition("/")[0]
    return Container(service, account, name)


def signed(href: str, service: str) -> str:
    """The address with a token that is good for minutes; one that is signed already stays as it is.

    Args:
        href: address of a blob.
        service: address of the token service, without account and container.

    Raises:
        CatalogError: the service gives no token.
    """
    if is_signed(href):
        return href
    where = container_of(href, service)
    with _LOCKS.setdefault((os.getpid(), where), Lock()):
        token = _TOKENS.get(where)
        if token is None or time.time() >= token.renew_at:
            token = _TOKENS[where] = _ask(where)
    return f"{href}{'&' if urlparse(href).query else '?'}{token.query}"


def forget(href: str, service: str) -> None:
    """Drop the token of a blob's container, unless the address carries an older one than is held."""
    where = container_of(href, service)
    token = _TOKENS.get(where)
    if token is not None and (not is_signed(href) or token.query in href):
        _TOKENS.pop(where, None)


def is_signed(href: str) -> bool:
    """Whether an address carries a token."""
    return "sig" in parse_qs(urlparse(href).query)


def _ask(where: Container) -> _Token:
    address = f"{where.service.rstrip('/')}/{where.account}/{where.name}"
    key = os.environ.get(KEY_VARIABLE)
    try:
        with polite_session() as session:
            answer = session.get(
                address, timeout=TIMEOUT_S, headers={"Ocp-Apim-Subscription-Key": key} if key else None
            )
        answer.raise_for_status()
        content = answer.json()
        query = str(content["token"]).lstrip("?")
        left = datetime.fromisoformat(content["msft:expiry"]).timestamp() - time.time()
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())[:160]
        raise CatalogError(
            f"no token to read {where.account}/{where.name} from {address} ({why}); run the same command"
            " again, or choose another catalogue with --catalog"
        ) from error
    # A token that was short from the start would be replaced at every read.
    return _Token(query, time.time() + max(left - MARGIN_S, left / 2))
