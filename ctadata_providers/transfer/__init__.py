"""Whole files and trees: atomic, verified, retried, parallel."""

from ctadata_providers.transfer.context import Context, Progress, TransferResult, TreeResult
from ctadata_providers.transfer.download import download
from ctadata_providers.transfer.folders import make_dirs, require_folder, stat_or_none, walk
from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.parallel import as_ended
from ctadata_providers.transfer.trees import download_tree, remove_tree, upload_tree
from ctadata_providers.transfer.upload import upload
from ctadata_providers.transfer.verify import compute_checksum

__all__ = [
    "Context",
    "Progress",
    "TransferResult",
    "TreeResult",
    "as_ended",
    "compute_checksum",
    "download",
    "download_tree",
    "is_part",
    "make_dirs",
    "remove_tree",
    "require_folder",
    "stat_or_none",
    "upload",
    "upload_tree",
    "walk",
]
