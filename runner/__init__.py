"""The runner: files, container, tiers, harness, scoring, report and command line."""
