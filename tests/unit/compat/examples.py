"""The Python examples of ctadata's documentation, as its package has it; only the import line is another one."""

COMPAT = "import ctadata_providers.compat as ctadata\n"
DIRECT = "from ctadata_providers.compat import direct as ctadata\n"

LISTING = """
for path in ctadata.list_dir("cta"):
    print(path)
"""
FILTERED = """
import h5py

for url in ctadata.list_dir("cta/DL1/20241114/v0.1/"):
    if 'datacheck' not in url and '.0100' in url and '11111' in url:
        print("stored", ctadata.fetch_and_save_file(url)/1024/1024, "Mb")
        print("found keys", h5py.File(url.split("/")[-1]).keys())
"""
FILE = """
ctadata.fetch_and_save_file_or_dir("lst/some-data-dir/some-data-file")
"""
FOLDER = """
ctadata.fetch_and_save_file_or_dir("lst/some-data-dir", recursive=True)
"""
UPLOAD = """
ctadata.upload_file("latest.txt", "your-folder/new-file-name.md")
ctadata.upload_file("latest.txt", "your-folder/") # will autocomplete to `your-folder/latest.txt`
"""
DIRECT_UPLOAD = UPLOAD.replace("ctadata.", "ctadata.direct.")
DEV = """
for path in ctadata.list_dir("/", dev_instance=True):
    print(path)
"""
WEBDAV = """
client = ctadata.webdav4_client()
client.ls("/")
client.uploadFile("example.txt", "remote/example.txt")
"""
CERTIFICATE = """
ctadata.upload_certificate('yourcertificate.crt')
"""
