"""The report: what many run folders say together, as one page, tables and figures.

It knows no task, and its folders are the way through it: `read` reads run folders and says which
are the same, `compare` groups them by everything but the seed and finds what to compare each group
with, `render` turns that into tables, figures and the page. Each imports those before it only.
Whatever is averaged is averaged in `statistics`; numbers are written in `wording`.
"""

from monarch_core.extras import require

require("report", "hydra", "jinja2", "matplotlib", "omegaconf", "scipy")
