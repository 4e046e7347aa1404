"""How Sphinx builds these pages: Markdown through MyST, furo as the theme."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from medctx3d.version import __version__  # the path above must be set first

project = 'medctx3d'
author = 'The medctx3d authors'
copyright = '2026, The medctx3d authors'
release = __version__

extensions = ['myst_parser', 'sphinx_copybutton', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
autodoc_typehints = 'signature'
napoleon_use_ivar = True  # an Attributes section describes fields that autodoc lists already
autodoc_member_order = 'bysource'
autodoc_inherit_docstrings = False  # those of torch and mmengine are theirs
myst_enable_extensions = ['colon_fence', 'deflist', 'dollarmath']
myst_heading_anchors = 3
source_suffix = {'.md': 'markdown'}
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = f'medctx3d {release}'
