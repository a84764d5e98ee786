"""Counts what agreed, what differs as it is known to, and what differs otherwise."""

from __future__ import annotations

import collections


class Report:
    def __init__(self) -> None:
        self.agreed: collections.Counter[str] = collections.Counter()
        self.known: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []

    def check(self, what: str, good: bool, detail: object = "") -> None:
        if good:
            self.agreed[what] += 1
        else:
            self.failures.append(f"{what}: {detail}")

    def difference(self, what: str, as_known: bool, detail: object = "") -> None:
        """A known difference: that it is as described is checked as well."""
        if as_known:
            self.known[what] += 1
        else:
            self.failures.append(f"known difference is not as described: {what}: {detail}")

    def show(self) -> bool:
        for what, count in self.agreed.items():
            print(f"{count:6}  {what}")
        if self.known:
            print("known differences, each as described:")
            for what, count in sorted(self.known.items()):
                print(f"{count:6}  {what}")
        for failure in self.failures[:20]:
            print(f"FAILED  {failure}")
        print(f"interop ground: {sum(self.agreed.values())} checks agreed, {sum(self.known.values())} known differences, "
              f"{len(self.failures)} failures")
        return not self.failures
