"""The runner: files, container, tiers, harness, scoring, report and command line."""

import os

# OpenMP reads this once, when torch is loaded. Its default, busy waiting, makes two threads several
# times slower than one wherever another process shares the cores, as in a container with a quota.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
