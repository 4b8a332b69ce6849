"""`python -m monarch_core.report` does what `monarch-report` does."""

import sys

from monarch_core.report.cli import main

sys.exit(main())
