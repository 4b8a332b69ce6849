"""Settings of the documentation site: `make docs`.

The root of the repository is the source folder, so that the Markdown files are the pages as they
lie there, README.md the first one.
"""

import re
import sys
import tomllib
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = _PROJECT["name"]
release = _PROJECT["version"]
author = "The authors of monarch-science"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
root_doc = "README"
include_patterns = [
    "*.md",
    "data_scripts/**.md",
    "docs/*.md",
    "docs/*.rst",
    "docs/generated/**.rst",
]
exclude_patterns = [".?*/**", "docs/_build/**"]
templates_path = [str(ROOT / "docs/templates")]  # parts of Sphinx start at the root, parts here
default_role = "py:obj"

myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]

autosummary_generate = True
autodoc_default_options = {"members": True, "exclude-members": "is_transform, extra_repr"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

sphinx_gallery_conf = {
    "examples_dirs": "docs/tutorials",
    "gallery_dirs": "docs/generated/tutorials",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "capture_repr": (),
    "download_all_examples": False,
    "min_reported_time": 0,
    "show_memory": False,
    "write_computation_times": False,  # its page loads scripts from elsewhere
    "copyfile_regex": "",
    "line_numbers": False,
    "remove_config_comments": True,
}

highlight_language = "text"
html_theme = "furo"
html_title = "Monarch"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "first_page.html"}
html_show_sourcelink = False
html_copy_source = False
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

SECTIONS = ("Args", "Attributes", "Examples", "Raises", "Returns", "Yields")
CONTENTS = """
```{toctree}
:hidden:
:caption: Use it

docs/start
docs/when
docs/own_data
docs/fine_tuning
docs/generated/tutorials/index
data_scripts/README
docs/sweeps
docs/cluster
```

```{toctree}
:hidden:
:caption: What was found

Neural operators <docs/pde>
The operator and its training <docs/operators>
MRI <docs/mri>
Linear layers <docs/sparse>
docs/speed
```

```{toctree}
:hidden:
:caption: Reference

docs/api
CONTRIBUTING
CHANGELOG
```
"""
DATA_PAGES = """
```{toctree}
:hidden:
:glob:

pde/*
mri/*
```
"""


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Give two pages the contents that GitHub's Markdown has no words for."""
    source[0] += {"README": CONTENTS, "data_scripts/README": DATA_PAGES}.get(name, "")


def mark_formulas(app: Sphinx, *about: object) -> None:
    """Make literal blocks of the formulas of docstrings, which are indented below a paragraph.

    Elsewhere `|f|` and `*heads` are what they look like, and no markup.
    """
    lines = about[-1]
    assert isinstance(lines, list)
    marked: list[str] = []
    inside, in_example = (
        "",
        False,
    )  # "paragraph" or "formula", before the sections of Google's style
    for i, line in enumerate(lines):
        before = lines[i - 2] if i > 1 else ""
        if line.lstrip().startswith(">>>"):
            in_example = True
        elif not line:
            in_example = False
        if line and not line.startswith(" "):
            inside = "" if line.endswith(":") and line[:-1] in SECTIONS else "paragraph"
        elif line.startswith("    ") and not lines[i - 1] and before and inside == "paragraph":
            inside = "formula"
            marked += ["::", ""]
        plain = inside == "formula" or in_example
        marked.append(line if plain else re.sub(r"(?<![`\w])([|*])|\|", r"\\\g<0>", line))
    lines[:] = marked


class FolderLinks(SphinxTransform):
    """Show the text alone of links to folders, which a site does not list."""

    default_priority = 5

    def apply(self, **options: object) -> None:
        """Replace them."""
        page = (ROOT / self.env.docname).parent
        for link in list(self.document.findall(pending_xref)):
            if link.get("reftype") == "myst" and (page / link["reftarget"]).is_dir():
                link.replace_self(nodes.literal("", re.sub(r"^(\.\./)+", "", link["reftarget"])))


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("source-read", add_contents)
    app.connect("autodoc-process-docstring", mark_formulas, priority=400)
    app.add_transform(FolderLinks)
