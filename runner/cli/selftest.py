"""`stem4d selftest`: does an algorithm keep the rules that no score shows?"""

from __future__ import annotations

import click

from schemas.findings import ExitCode


@click.command()
@click.argument("algorithm")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def selftest(algorithm: str, as_json: bool) -> int:
    """Try ALGORITHM on small samples: RECONSTRUCTOR[+CALIBRATOR], or FILE.py:CLASS[+CALIBRATOR].

    Samples of every form, the first one twice, and a scan ten times larger than its memory budget
    under a short deadline; in processes of their own. Exit code 1 when a rule is broken.
    """
    from runner.cli.output import make_table, note, print_record, print_tables
    from runner.pipeline.selftest import selftest as run_selftest

    report = run_selftest(algorithm, note)
    if as_json:
        print_record(report)
    else:
        rows = [["ok" if t.passed else "FAILED", t.rule, t.told] for t in report.trials]
        title = f"{algorithm}: {len(rows)} rules, {report.seconds:.0f} s"
        print_tables(make_table(title, ["", "rule", "found"], rows, left=3))
    for trial in report.trials:
        if trial.finding is not None:
            note(trial.finding.text())
    return int(ExitCode.DONE if report.passed else ExitCode.ALGORITHM)
