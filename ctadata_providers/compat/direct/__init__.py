"""The functions of `ctadata.direct`: those of `compat`, always at a door."""

import sys

from ctadata_providers.compat.direct import api
from ctadata_providers.compat.direct.api import APIClient, StorageException, TokenError, api_client

__all__ = [
    "APIClient",
    "StorageException",
    "TokenError",
    "api",
    "direct",
    "fetch_and_save_file",
    "fetch_and_save_file_or_dir",
    "list_dir",
    "start_agent_daemon",
    "upload_certificate",
    "upload_dir",
    "upload_file",
    "upload_personal_certificate",
    "upload_shared_certificate",
    "webdav4_client",
]

direct = sys.modules[__name__]
"""ctadata's own examples say `from ctadata import direct as ctadata` and then `ctadata.direct.upload_file`."""

list_dir = api_client.list_dir
fetch_and_save_file = api_client.fetch_and_save_file
fetch_and_save_file_or_dir = api_client.fetch_and_save_file_or_dir
upload_file = api_client.upload_file
upload_dir = api_client.upload_dir
upload_personal_certificate = api_client.upload_personal_certificate
upload_certificate = api_client.upload_certificate
upload_shared_certificate = api_client.upload_shared_certificate
start_agent_daemon = api_client.start_agent_daemon
webdav4_client = api_client.webdav4_client
