"""Parts of a file as fsspec names them: like slices of a sequence, without a step."""


def is_from_end(start: int | None, end: int | None) -> bool:
    """Tell whether a slice is counted from the end of a file."""
    return (start is not None and start < 0) or (end is not None and end < 0)


def slice_of(start: int | None, end: int | None, size: int | None) -> tuple[int, int | None]:
    """Return where a slice begins and ends, of a file whose size need be known only when that is counted from its end.

    >>> slice_of(-3, None, 10), slice_of(2, -20, 10), slice_of(5, 2, None)
    ((7, 10), (2, 2), (5, 2))
    """
    if size is None:
        return start or 0, end
    first, last, _ = slice(start, end).indices(size)
    return first, max(first, last)
