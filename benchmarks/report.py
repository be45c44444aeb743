"""The result of a run: figures with their targets, as a table for people and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. Without a limit it is shown and judged by nobody."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def target(self) -> str:
        """The target in words, empty without one."""
        if self.at_least is not None and self.at_least == self.at_most:
            return f"exactly {_number(self.at_least)}"
        if self.at_least is not None:
            return f"at least {_number(self.at_least)}"
        return "" if self.at_most is None else f"at most {_number(self.at_most)}"

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    @property
    def verdict(self) -> str:
        """`yes`, `NO`, or empty without a target."""
        return _VERDICTS[self.holds]

    def as_json(self) -> dict[str, Any]:
        """All members and the verdict."""
        return asdict(self) | {"holds": self.holds}


@dataclass(frozen=True, slots=True)
class Row:
    """One load through HTTP."""

    method: str
    auth_key: str
    connections: int
    per_s: float
    p50_us: float
    p99_us: float
    host_cpu_us: float
    """Processor time of the host process for each answer."""
    enclave_cpu_us: float
    load_cpu_us: float
    """Processor time of the load generator, which is no part of the appliance and takes its share of the machine."""
    crypto_us: float
    """The cryptography alone, before and after this load."""

    @property
    def of_crypto(self) -> float:
        """Answers a second in percent of what one core could do if there was nothing but the cryptography."""
        return self.per_s * self.crypto_us / 1e4


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run found out."""

    rows: Sequence[Row]
    crypto: Sequence[tuple[str, float]]
    """Stage and microseconds."""
    figures: Sequence[Figure]
    parts: Mapping[str, Sequence[Figure]]
    """Figures about a part of the appliance, by its name."""
    notes: Sequence[str]

    @property
    def holds(self) -> bool:
        """Whether every target is met."""
        return all(figure.holds is not False for figure in chain(self.figures, *self.parts.values()))

    def as_json(self) -> str:
        """One JSON object."""
        return json.dumps(
            {
                "http": [asdict(row) for row in self.rows],
                "crypto_us": dict(self.crypto),
                "figures": [figure.as_json() for figure in self.figures],
                "parts": {name: [figure.as_json() for figure in part] for name, part in self.parts.items()},
                "notes": list(self.notes),
                "holds": self.holds,
            },
            indent=1,
        )

    def as_text(self, *, markdown: bool = False) -> str:
        """Tables and the notes, for a terminal or for docs/performance.md."""
        table = _markdown if markdown else _table
        http = [_HTTP_HEAD, *map(_http_cells, self.rows)]
        crypto = [("cryptography alone, one core", "µs"), *((stage, _number(us)) for stage, us in self.crypto)]
        found = [table(http, 2), table(crypto, 1)]
        found += [table(_judged(title, part), 1, (2, 3, 4)) for title, part in self._titled()]
        return "\n\n".join([*found, "\n".join(self.notes)])

    def _titled(self) -> list[tuple[str, Sequence[Figure]]]:
        return [("figure", self.figures), *self.parts.items()]


Lines = Sequence[tuple[str, ...]]
_HTTP_HEAD = (
    "through HTTP",
    "auth key",
    "conn",
    "per s",
    "p50 µs",
    "p99 µs",
    "host CPU µs",
    "enclave CPU µs",
    "load CPU µs",
    "crypto µs",
)
_VERDICTS = {True: "yes", False: "NO", None: ""}


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _http_cells(row: Row) -> tuple[str, ...]:
    latencies, cpu = (row.p50_us, row.p99_us), (row.host_cpu_us, row.enclave_cpu_us, row.load_cpu_us, row.crypto_us)
    return (row.method, row.auth_key, *map(_number, (row.connections, row.per_s, *latencies, *cpu)))


def _judged(title: str, figures: Sequence[Figure]) -> Lines:
    return [
        (title, "value", "unit", "target", "holds"),
        *((one.name, _number(one.value), one.unit, one.target, one.verdict) for one in figures),
    ]


def _table(lines: Lines, left: int, also_left: Sequence[int] = ()) -> str:
    """Columns of equal width; the first `left` and those of `also_left` flush left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        return "  ".join(
            cell.ljust(width) if index < left or index in also_left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()

    head, *rest = map(line, lines)
    return "\n".join([head, "-" * len(head), *rest])


def _markdown(lines: Lines, left: int, also_left: Sequence[int] = ()) -> str:
    """The same as `_table`, in Markdown."""
    kinds = ["---" if index < left or index in also_left else "---:" for index in range(len(lines[0]))]
    head, *rest = (f"| {' | '.join(cell.strip() for cell in cells)} |" for cells in lines)
    return "\n".join([head, f"|{'|'.join(kinds)}|", *rest])
