"""Does an algorithm keep the rules that no score shows? Small trials in processes of their own."""

from runner.pipeline.selftest.report import SelfTest, Trial
from runner.pipeline.selftest.run import selftest

__all__ = ["SelfTest", "Trial", "selftest"]
