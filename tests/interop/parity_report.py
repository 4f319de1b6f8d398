"""tests/interop/parity_report.py - how parity prints what it has found

A reporter is told of each case with its runs and rows, then of each pair, then of the end.
"""
import os
import platform
import subprocess

from vmms import QEMU


def versions(machine):
    qemu = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True)
    belfry = subprocess.run([os.path.join(machine.build, "belfry"), "--version"],
                            capture_output=True, text=True, check=True)
    return (f"{qemu.stdout.splitlines()[0]}; {belfry.stdout.strip()}; "
            f"Linux {platform.release()}, {platform.machine()}")


class Markdown:
    """Prints the summary last, and all checks before it."""

    def __init__(self, machine):
        self.summary = []
        self.pairs = []
        print(f"# What guests find on QEMU and on belfry\n\n{versions(machine)}\n")

    def case(self, case, runs, rows):
        names = [name for name, _, _ in runs]
        print(f"## {case.title()}\n\n| check | {' | '.join(names)} | |")
        print("|---" * (len(names) + 2) + "|")
        for row in rows:
            why = "**not listed**" if row.unlisted() else row.why
            print(f"| {row.check} | {' | '.join(row.results)} | {why} |")
        print(flush=True)
        listed = sum(row.listed() for row in rows)
        unlisted = sum(row.unlisted() for row in rows)
        self.summary.append(f"| {case.name} | {len(rows)} | "
                            f"{len(rows) - listed - unlisted} | {listed} | {unlisted} |")

    def pair(self, pair):
        self.pairs.append(f"| {pair.case.name} | {' | '.join(pair.names())} | "
                          f"{'ok' if pair.well() else 'not ok'} | "
                          f"{pair.p50('doorbell-spin')} | {pair.p50('doorbell-halt')} |")

    def end(self, unused):
        if self.summary:
            print("## All cases\n\n| case | checks | alike | differ, listed | "
                  "differ, not listed |\n|---|---|---|---|---|")
            print("\n".join(self.summary), end="\n\n")
        if self.pairs:
            print("## Guests on different VMMs\n\nRound trips in us, p50; vCPUs are not "
                  "pinned.\n\n| case | role a | role b | | spinning | halted |\n"
                  "|---|---|---|---|---|---|")
            print("\n".join(self.pairs), end="\n\n")
        for row in unused:
            print(f"Listed, but not seen this time: {row[0]}: {row[1]}")


class Tap:
    def __init__(self, machine):
        self.tests = 0
        print(f"# {versions(machine)}")

    def _test(self, well, name):
        self.tests += 1
        print(f"{'ok' if well else 'not ok'} {self.tests} - {name}", flush=True)

    @staticmethod
    def _comment(text):
        for line in text.splitlines():
            print(f"#   {line}")

    def case(self, case, runs, rows):
        unlisted = [row for row in rows if row.unlisted()]
        listed = sum(row.listed() for row in rows)
        alike = len(rows) - listed - len(unlisted)
        self._test(not unlisted, f"{case.name}: {alike} of {len(rows)} checks as on QEMU"
                   + (f", {listed} as listed" if listed else ""))
        for row in unlisted:
            print(f"# not listed: {row.check}: " + ", ".join(
                f"{name}: {result or 'not asked'}"
                for (name, _, _), result in zip(runs, row.results)))
        for name, run, _ in runs if unlisted else []:
            print(f"# {name}, exit status {run.process.returncode}:")
            self._comment(run.err)
            self._comment("\n".join(line for line in run.out.splitlines()
                                    if not line.startswith("ok ")))

    def pair(self, pair):
        self._test(pair.well(), f"{pair.case.name}: a on {pair.names()[0]}, "
                   f"b on {pair.names()[1]}")
        for name, run in zip(pair.names(), pair.runs) if not pair.well() else []:
            print(f"# {name}, exit status {run.process.returncode}, ended {run.end}:")
            self._comment(run.err + run.out)

    def end(self, unused):
        for row in unused:
            print(f"# listed, but not seen this time: {row[0]}: {row[1]}")
        print(f"1..{self.tests}")
