"""What a scripted server was asked."""

from dataclasses import dataclass


@dataclass
class Asked:
    """One request, as far as it came.

    Attributes:
        method: The HTTP method.
        path: The decoded path.
        query: The query string.
        headers: By lower-case name.
        head: Request line and headers as they came.
        certificate: Whether the client presented a certificate.
        received: Bytes of the body that arrived.
        sent: Bytes of the answer's body that were handed to the network.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    head: str = ""
    certificate: bool = False
    received: int = 0
    sent: int = 0

    @property
    def size(self) -> int:
        return int(self.headers.get("content-length", "0"))
