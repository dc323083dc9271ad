"""The site's settings; `make docs` builds it. The functions' pages and all pictures are made first, from the table."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / folder) for folder in ("", "tests", "bench"))]

import pages  # noqa: E402
import pictures  # noqa: E402

import fastsig  # noqa: E402

pages.write(HERE)
pictures.draw_all(HERE / pages.MADE)

project = "fastsig"
copyright = "the fastsig authors, BSD-3-Clause"
release = fastsig.__version__

extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_parser"]
exclude_patterns = ["_build", pages.MADE]  # what is made there is included, or a picture
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 2
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"fastsig {release}"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_search_scorer = str(HERE / "scorer.js")
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
