"""/upload of the downloadservice: into one's own folder, wherever that is."""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web

from ctadata_providers.testing.exchange import Exchange, Refusal
from ctadata_providers.testing.services.certificates import CertificateError
from ctadata_providers.testing.services.hub import HubUser
from ctadata_providers.testing.services.peers import BrokenError
from ctadata_providers.testing.services.upstream import Asked, Upstream
from ctadata_providers.testing.services.users import UPLOAD_FOLDERS, fragment
from ctadata_providers.testing.services.webdav import received

if TYPE_CHECKING:
    from ctadata_providers.testing.services.downloadservice import DownloadService


async def upload(
    service: "DownloadService", upstream: Upstream, exchange: Exchange, user: HubUser, path: str
) -> web.StreamResponse:
    """Store what is sent, and tell how much of it was read.

    Raises:
        CertificateError: When there is no good certificate.
        BrokenError: When the storage does not answer.
    """
    if not path:
        raise Refusal(500, "Internal Server Error")
    if ".." in path:
        return web.Response(status=400, text="Error: path cannot contain '..'", content_type="text/html")
    folder = await _folder(service, exchange, user)
    if folder is None:
        return web.Response(
            status=403, reason="Missing rights to upload files", text="Access denied", content_type="text/html"
        )
    await service.certified(exchange, user.name, folder)
    home = f"{folder}/users/{fragment(user.name)}"
    # It exists already, or nothing works anyway: nobody looks.
    (await upstream.ask(Asked(exchange=exchange, method="MKCOL", path=home, headers={}))).close()
    target = f"{home}/{path.strip('/')}"
    counter = _Counter()
    asked = Asked(
        exchange=exchange, method="PUT", path=target, headers={}, chunks=counter.count(received(exchange)), follows=True
    )
    reply = await upstream.ask(asked)
    if reply.status == 201:
        answer = {"path": target, "status": "uploaded", "total_written": counter.total}
        return web.Response(text=json.dumps(answer) + "\n", content_type="application/json")
    if reply.status == 204:
        # What is said has no place in an answer without a body.
        return web.Response(status=204)
    said = b"".join([block async for block in reply.blocks()]).decode()
    return web.Response(status=reply.status, text=f"Error: {reply.status} {said}", content_type="text/html")


async def _folder(service: "DownloadService", exchange: Exchange, user: HubUser) -> str | None:
    """Return the first folder whose users can be listed; why another one cannot is not told."""
    for folder in UPLOAD_FOLDERS:
        try:
            status, _ = await service.list_folder(exchange, user, f"{folder}/users")
        except (BrokenError, CertificateError, Refusal):
            continue
        if status == 200:
            return folder
    return None


class _Counter:
    """Counts the bytes that pass."""

    def __init__(self) -> None:
        self.total = 0

    async def count(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the chunks as they are."""
        async for chunk in chunks:
            self.total += len(chunk)
            yield chunk
