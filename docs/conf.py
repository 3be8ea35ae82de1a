"""Sphinx settings."""

import os
import tempfile

import ctadata_providers

# Autodoc imports the provider, and Airflow makes its home where it is imported first.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="ctadata-docs-airflow-")
project = "ctadata-providers"
author = "The ctadata-providers developers"
project_copyright = "2026, the ctadata-providers developers"
version = release = ctadata_providers.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"ctadata-providers {version}"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
add_module_names = False
nitpicky = False
