"""A message to a chat, by an incoming webhook as Slack, Mattermost and Rocket.Chat have them.

The address is a secret: who has it can write to the chat. So no message here repeats it.
"""

import json
import os
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
from urllib3 import PoolManager, ProxyManager, Timeout
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as TookTooLong

WEBHOOK_VARIABLE = "EMBEDTUNE_WEBHOOK_URL"
"""Environment variable with the webhook's address: https, or http within the machine or the cluster."""
_TIMEOUT = Timeout(connect=3.0, read=5.0)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OF_CLUSTER = (".svc", ".svc.cluster.local")
"""Ends of the names of a cluster's own services, to which http is usual and does not leave it."""


def send(address: str, text: str) -> str:
    """Send a message, once; nothing is raised, for no run fails for want of it.

    Args:
        address: Of the webhook.
        text: The message, in Slack's markup.

    Returns:
        Why it was not taken, in a sentence; '' if it was.
    """
    parts = _parts(address)
    if parts is None:
        return (
            f"{WEBHOOK_VARIABLE} is no address that is sent to. Accepted: https://host/path; http:// only of this "
            "machine or of a service of the cluster (name.namespace.svc)."
        )
    try:
        response = _pool(parts).request(
            "POST",
            address,
            body=json.dumps({"text": text}).encode(),
            headers={"Content-Type": "application/json"},
            redirect=False,
            retries=False,
            preload_content=False,
        )
        response.close()
    except HTTPError as error:
        # A refused connection is a timeout by its class in urllib3 2.
        late = isinstance(error, TookTooLong) and not isinstance(error, NewConnectionError)
        how = "does not answer in time" if late else "cannot be reached"
        if isinstance(error, SSLError):
            how = "has a certificate that is not trusted (SSL_CERT_FILE names those that are)"
        return f"The server {parts.hostname} of {WEBHOOK_VARIABLE} {how}. Check the address, and what lies between."
    if not 200 <= response.status < 300:
        return f"The server {parts.hostname} of {WEBHOOK_VARIABLE} answers {response.status}. Check the address."
    return ""


def _parts(address: str) -> SplitResult | None:
    """Return the parts of an address that may be sent to, None for any other."""
    try:
        parts = urlsplit(address)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        return None
    if not host or not address.isascii() or not address.isprintable():
        return None
    near = host in _LOOPBACK or host.endswith(_OF_CLUSTER)
    return parts if parts.scheme == "https" or (parts.scheme == "http" and near) else None


def _pool(parts: SplitResult) -> PoolManager:
    certificates = os.environ.get("SSL_CERT_FILE") or certifi.where()
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(str(parts.hostname)):
        return ProxyManager(proxy, timeout=_TIMEOUT, ca_certs=certificates)
    return PoolManager(timeout=_TIMEOUT, ca_certs=certificates)
