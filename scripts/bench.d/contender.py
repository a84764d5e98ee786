"""What runners.py needs to know of an implementation, or of a pair of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from processes import Command


@dataclass
class Contender:
    """One that listens and one that dials. Subclasses say how."""

    name: str
    label: str
    """What it is, with its version."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """The cases that it cannot play, and why."""
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What is other than usual in a case, such as fewer bytes for one that would take minutes."""

    def listener(self, case: str, options: Mapping[str, str]) -> Command:
        raise NotImplementedError

    def dialer(self, address: str, case: str, options: Mapping[str, str]) -> Command:
        raise NotImplementedError

    def startup(self) -> Command:
        """A listener without anything around it."""
        return self.listener("startup", {})

    def check(self, output: str, options: Mapping[str, str]) -> None:
        """Raises MeasureError unless the client's output says that everything arrived."""

    def adapted(self, case: str, options: Mapping[str, str]) -> dict[str, str]:
        """Smaller where this contender needs it: never larger than what is asked for."""
        changed = dict(options)
        for name, value in self.options.get(case, {}).items():
            try:
                changed[name] = min(changed.get(name, value), value, key=int)
            except ValueError:
                changed[name] = value
        return changed


def words(options: Mapping[str, str]) -> list[str]:
    """The NAME=VALUE arguments of a driver."""
    return [f"{name}={value}" for name, value in options.items()]
