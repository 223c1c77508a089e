"""What schedulers said about Pods: the latest record of each, in memory alone, and a bounded number of them."""

from __future__ import annotations

from typing import Final

from orchestra.api.diagnosis import PodDiagnosis
from orchestra.client.interface import DiagnosisReport

MAX_UNPLACED: Final = 10_000
"""Records of Pods without a node; one more drops the one that was written longest ago."""
MAX_PLACED: Final = 10_000
"""Records of Pods that got a node, likewise: a burst of placements must not drive out the Pods that wait."""


class Diagnoses:
    """The newest record of each Pod, by its uid."""

    def __init__(self) -> None:
        self._placed: dict[str, DiagnosisReport] = {}
        self._unplaced: dict[str, DiagnosisReport] = {}

    def __len__(self) -> int:
        return len(self._placed) + len(self._unplaced)

    def put(self, report: DiagnosisReport) -> None:
        """Keep a record, in place of an older one of the same Pod."""
        self.forget(report.uid)
        kept, limit = (self._placed, MAX_PLACED) if report.placed else (self._unplaced, MAX_UNPLACED)
        if len(kept) >= limit:
            del kept[next(iter(kept))]
        kept[report.uid] = report

    def get(self, uid: str) -> PodDiagnosis | None:
        """Return the record of a Pod, if there is one."""
        report = self._unplaced.get(uid) or self._placed.get(uid)
        return None if report is None else report.write()

    def forget(self, uid: str) -> None:
        """Drop the record of a Pod; harmless when there is none."""
        self._placed.pop(uid, None)
        self._unplaced.pop(uid, None)
