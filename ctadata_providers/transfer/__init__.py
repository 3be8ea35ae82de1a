"""Whole files and trees: atomic, verified, retried, parallel."""

from ctadata_providers.backends import Version
from ctadata_providers.transfer.brief import begin_download, begin_upload
from ctadata_providers.transfer.context import (
    Context,
    CopyResult,
    Failure,
    OnError,
    Progress,
    TransferResult,
    TreeResult,
)
from ctadata_providers.transfer.copying import Route, copy
from ctadata_providers.transfer.download import download, refuse_unreadable
from ctadata_providers.transfer.events import TransferEvent
from ctadata_providers.transfer.failures import Failures, ends_all
from ctadata_providers.transfer.folders import make_dirs, require_folder, stat_or_none
from ctadata_providers.transfer.held import upload_held
from ctadata_providers.transfer.moving import move
from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.parallel import Begin, as_ended, failed
from ctadata_providers.transfer.parts.leftovers import was_kept
from ctadata_providers.transfer.parts.owners import declare_ended, this_owner
from ctadata_providers.transfer.ranges import MAX_GAP, Part, read_part, read_parts
from ctadata_providers.transfer.streaming import Streamed, stream
from ctadata_providers.transfer.trees.copies import copy_tree
from ctadata_providers.transfer.trees.listings import Listings
from ctadata_providers.transfer.trees.nested import Nested, Usage, nested, usage
from ctadata_providers.transfer.trees.places import LocalRoot, made_folder
from ctadata_providers.transfer.trees.transfers import download_tree, remove_tree, upload_tree
from ctadata_providers.transfer.trees.walking import LocalEntry, LocalFolder, OnUnlisted, local_entries, walk
from ctadata_providers.transfer.upload import upload
from ctadata_providers.transfer.verify import read_checksum

__all__ = [
    "MAX_GAP",
    "Begin",
    "Context",
    "CopyResult",
    "Failure",
    "Failures",
    "Listings",
    "LocalEntry",
    "LocalFolder",
    "LocalRoot",
    "Nested",
    "OnError",
    "OnUnlisted",
    "Part",
    "Progress",
    "Route",
    "Streamed",
    "TransferEvent",
    "TransferResult",
    "TreeResult",
    "Usage",
    "Version",
    "as_ended",
    "begin_download",
    "begin_upload",
    "copy",
    "copy_tree",
    "declare_ended",
    "download",
    "download_tree",
    "ends_all",
    "failed",
    "is_part",
    "local_entries",
    "made_folder",
    "make_dirs",
    "move",
    "nested",
    "read_checksum",
    "read_part",
    "read_parts",
    "refuse_unreadable",
    "remove_tree",
    "require_folder",
    "stat_or_none",
    "stream",
    "this_owner",
    "upload",
    "upload_held",
    "upload_tree",
    "usage",
    "walk",
    "was_kept",
]
