"""`python -m monarch_core.experiment.report` does what `monarch-report` does."""

import sys

from monarch_core.experiment.report.cli import main

sys.exit(main())
