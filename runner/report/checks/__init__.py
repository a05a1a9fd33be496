"""What goes wrong in 4D-STEM measurements, asked of a sample's own data; no truth is needed."""

from runner.report.checks.all_checks import check_sample
from runner.report.checks.exposure import TOLERANCES
from runner.report.checks.record import Check, Level

__all__ = ["TOLERANCES", "Check", "Level", "check_sample"]
