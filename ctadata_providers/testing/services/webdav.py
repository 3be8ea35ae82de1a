"""/webdav of the downloadservice: requests that are passed on to the storage, and answers that come back changed."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web

from ctadata_providers.testing.exchange import ClientGoneError, Exchange
from ctadata_providers.testing.services.gate import reason_of
from ctadata_providers.testing.services.hub import HubUser
from ctadata_providers.testing.services.rewriting import blocks, replaced
from ctadata_providers.testing.services.upstream import BASE, Asked, Upstream
from ctadata_providers.testing.services.users import may_write

if TYPE_CHECKING:
    from ctadata_providers.testing.services.downloadservice import DownloadService

WEBDAV_METHODS = ("GET", "HEAD", "MKCOL", "OPTIONS", "PROPFIND", "PROPPATCH", "PUT", "TRACE")
_READING = ("GET", "HEAD", "OPTIONS", "PROPFIND", "TRACE")
_NOT_PASSED_ON = frozenset(
    {
        *("host", "authorization", "content-encoding", "content-length", "transfer-encoding", "connection"),
        *("keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "upgrade"),
    }
)
_THERE = f":href>{BASE}".encode()
_HERE = b":href>/services/downloadservice/webdav/"
_SMALL = 1 << 18


async def pass_on(
    service: "DownloadService", upstream: Upstream, exchange: Exchange, user: HubUser, path: str
) -> web.StreamResponse:
    """Answer a request as the storage does.

    Raises:
        CertificateError: When there is no good certificate.
        BrokenError: When the storage does not answer, or not to the end.
    """
    method = exchange.method
    if method not in _READING and not may_write(user.name, path):
        reason = f"Missing rights to write in : {path}, you are not allowed to write in this folder"
        return web.Response(status=403, reason=reason_of(reason), text="Access denied", content_type="text/html")
    await service.certified(exchange, user.name, path)
    asked = Asked(
        exchange=exchange,
        method=method,
        path=path.strip("/"),
        headers={name: value for name, value in exchange.headers.items() if name.lower() not in _NOT_PASSED_ON},
        body=await exchange.body() if method in ("PROPFIND", "PROPPATCH") else b"",
        chunks=received(exchange) if method == "PUT" else None,
    )
    reply = await upstream.ask(asked)
    try:
        # Whatever it is, the whole of it is waited for, and in all of it addresses are replaced.
        pieces = await replaced(await reply.whole(), _THERE, _HERE)
        length = sum(map(len, pieces))
        if method == "HEAD" or length == 0:
            return web.Response(status=reply.status, headers={**reply.headers, "Content-Length": "0"})
        if length <= _SMALL:
            body = b"".join([block async for block in blocks(*pieces)])
            return web.Response(status=reply.status, headers=reply.headers, body=body)
        return await exchange.send(reply.status, reply.headers, blocks(*pieces), length=length)
    finally:
        reply.close()


async def received(exchange: Exchange) -> AsyncIterator[bytes]:
    """Yield the body of an upload, all that has arrived of it.

    Raises:
        ClientGoneError: When the client is lost, by a fault or not.
    """
    try:
        async for chunk in exchange.chunks():
            yield chunk
    except ClientGoneError:
        if rest := exchange.leftover():
            yield rest
        raise
    except ConnectionError as error:
        raise ClientGoneError from error
