"""The XML of a listing."""


def response(href: str, properties: str = "<D:resourcetype/><D:getcontentlength>3</D:getcontentlength>") -> str:
    """Return a `response` element with an href as it is given."""
    found = f"<D:propstat><D:prop>{properties}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
    return f"<D:response><D:href>{href}</D:href>{found}</D:response>"


def listing(*responses: str) -> bytes:
    """Return a multistatus body."""
    inner = "".join(responses)
    return f'<?xml version="1.0" encoding="utf-8"?><D:multistatus xmlns:D="DAV:">{inner}</D:multistatus>'.encode()
