"""fsspec's abstract suite on the storages that need no system package."""

from tests.filesystem.abstract import TestCopy, TestGet, TestOpen, TestPipe, TestPut

__all__ = ["TestCopy", "TestGet", "TestOpen", "TestPipe", "TestPut"]
