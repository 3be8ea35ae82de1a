"""Is what arrived what was sent?"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from ctadata_providers.backends import ChecksumBackend, EarlyChecksumBackend
from ctadata_providers.checksum import common_algorithm, new_hasher
from ctadata_providers.errors import CtaError, IntegrityError, TransientError
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import asked, wait
from ctadata_providers.transfer.context import VERIFY_FROM, Attempts, Context

DEFAULT_ALGORITHM = "adler32"
Early = Future[Mapping[str, str] | None]
"""The answer to a question that was asked while the bytes came, None when it has to be asked again."""


def algorithm_for(context: Context, known: Mapping[str, str]) -> str | None:
    """Return what to compute on the bytes that pass: what is known already, else what WLCG storages have."""
    if context.checksum == "off" and not context.allow_http_pools:
        return None
    return (common_algorithm(known) if known else None) or DEFAULT_ALGORITHM


def check_size(path: str, *, got: int, wanted: int | None, what: str) -> None:
    """Compare sizes.

    Raises:
        IntegrityError: When they differ.
    """
    if wanted is not None and got != wanted:
        raise IntegrityError(
            f"{path}: {got} bytes arrived, but {what} {wanted}",
            path=path,
            remedy="nothing was kept; the file may be changing right now: try again",
        )


def ask_early(context: Context, path: str, size: int, *, known: Mapping[str, str]) -> Early | None:
    """Begin to ask for the checksums of a file while its bytes come; None where that is not worth it."""
    backend = context.backend
    if common_algorithm(known) or context.checksum == "off" or size < VERIFY_FROM:
        return None
    if not isinstance(backend, EarlyChecksumBackend):
        return None
    return asked(lambda: backend.early_checksum(path, DEFAULT_ALGORITHM))


async def server_checksums(
    context: Context,
    path: str,
    size: int,
    *,
    known: Mapping[str, str],
    required: bool = False,
    early: Early | None = None,
) -> Mapping[str, str]:
    """Return the checksums that the server tells of a file, asking only where that is worth it.

    Args:
        context: What the transfers of a client share.
        path: The file.
        size: Its bytes.
        known: The checksums that have been told without a question.
        required: Whether it has to be asked for.
        early: What `ask_early` has begun, of this version of the file.
    """
    if common_algorithm(known) or (context.checksum == "off" and not required):
        return known
    backend = context.backend
    if not (required or context.checksum == "require" or size >= VERIFY_FROM) or not isinstance(
        backend, ChecksumBackend
    ):
        return {}
    if early is not None:
        with suppress(CtaError):  # then the later question is told why
            told = await wait(early)
            if told is not None:
                return told
    return await wait(asked(lambda: backend.checksum(path, DEFAULT_ALGORITHM)))


async def compared(
    path: str,
    *,
    computed: Mapping[str, str],
    offered: Mapping[str, str],
    required: bool,
    reread: Callable[[str], Awaitable[str | None]],
) -> Mapping[str, str]:
    """Compare checksums, and return those that were computed; one that the server has alone is computed for it.

    Args:
        path: For messages.
        computed: On the bytes that passed; empty when checksums are off.
        offered: By the server.
        required: Whether there must be one to compare with.
        reread: Returns another checksum of the same bytes, by its algorithm; None when they cannot be read again.

    Raises:
        IntegrityError: As `compare`.
    """
    algorithm = common_algorithm(offered)
    if computed and algorithm and not computed.keys() & offered.keys():
        also = await reread(algorithm)
        computed = {**computed, algorithm: also} if also else computed
    compare(path, computed=computed, offered=offered, required=required)
    return computed


def compare(path: str, *, computed: Mapping[str, str], offered: Mapping[str, str], required: bool) -> None:
    """Compare checksums of the same algorithm.

    Raises:
        IntegrityError: When they differ, or when one is required and there is none to compare with.
    """
    common = computed.keys() & offered.keys()
    if required and not common:
        raise IntegrityError(
            f"{path}: a checksum is required, and the server offers {', '.join(offered) or 'none'}",
            path=path,
            remedy="set checksum to auto, if the size alone is enough",
        )
    for algorithm in common:
        if computed[algorithm] != offered[algorithm]:
            raise IntegrityError(
                f"{path}: {algorithm} of the bytes that passed is {computed[algorithm]},"
                f" the server says {offered[algorithm]}",
                path=path,
                remedy="nothing was kept: try again, and tell the server's operators if it comes again",
            )


async def read_checksum(context: Context, path: str, algorithm: str) -> str:
    """Return the checksum of a remote file by reading all of it, nothing kept.

    Raises:
        TransientError: When the retries are used up.
    """
    attempts = Attempts(context)
    while True:
        hasher = new_hasher(algorithm)
        try:
            await wait(context.backend.read(path, hasher.update))
            return hasher.hexdigest()
        except TransientError as error:
            await attempts.again(error)
