"""The answers of single plugins: asked for, checked, and put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.errors import PluginError
from orchestra.scheduler.interface import (
    MAX_SCORE,
    ByCode,
    Ints,
    NormalizePlugin,
    OnlyNodes,
    Plugin,
    PostFilterResult,
    PreScorePlugin,
    Rejection,
    Rejections,
    RowFilter,
    RowScore,
    Status,
)

NOTHING: Final[Ints] = np.zeros(0, dtype=np.int64)


@attrs.frozen
class _Powers:
    """Which optional protocols a class of plugins follows; asking a Protocol is dear, and shapes come by thousands."""

    by_row_filter: bool
    by_row_score: bool
    prepares: bool
    normalizes: bool
    ours: bool
    """It is built in: its scores are known to be on the scale."""


_POWERS: dict[type[Plugin], _Powers] = {}


def _powers_of(plugin: Plugin) -> _Powers:
    kind = type(plugin)
    known = _POWERS.get(kind)
    if known is None:
        local = kind.reads_pods and kind.node_local
        normalizes = issubclass(kind, NormalizePlugin)
        known = _POWERS[kind] = _Powers(
            by_row_filter=local and issubclass(kind, RowFilter),
            by_row_score=local and not normalizes and issubclass(kind, RowScore),
            prepares=issubclass(kind, PreScorePlugin),
            normalizes=normalizes,
            ours=kind.__module__.startswith("orchestra.scheduler.plugins."),
        )
    return known


class FilterAnswer:
    """One Filter plugin: `rejections` is None while it skips the Pod or refuses nothing.

    `by_row`: it has a function for rows. `shared`: the answer is that of Pods of other shapes too.
    """

    __slots__ = ("by_row", "follows", "plugin", "rejections", "shared", "skipped")

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin
        self.follows = bool(plugin.reads_pods)
        self.by_row = _powers_of(plugin).by_row_filter
        self.skipped = False
        self.shared = False
        self.rejections: Rejections | None = None


class ScoreAnswer:
    """One Score plugin. `even`: its raw scores are all the same, and its normalised ones stay so.

    `by_row`: it has a function for rows. `shared`: the raw scores are those of Pods of other shapes too.
    """

    __slots__ = (
        "by_row",
        "even",
        "follows",
        "normalized",
        "normalizes",
        "plugin",
        "prepares",
        "raw",
        "shared",
        "skipped",
        "weight",
    )

    def __init__(self, plugin: Any, weight: int) -> None:
        self.plugin = plugin
        self.weight = weight
        powers = _powers_of(plugin)
        self.prepares = powers.prepares
        self.normalizes = powers.normalizes
        self.follows = bool(plugin.reads_pods)
        self.by_row = powers.by_row_score
        self.skipped = False
        self.shared = False
        self.even = False
        self.raw: Ints = NOTHING
        self.normalized: Ints = NOTHING


_ANSWERS: Final[Mapping[str, tuple[type[Any], ...]]] = {
    "PreFilter": (Status, OnlyNodes, NoneType),
    "PostFilter": (PostFilterResult,),
    "PreScore": (Status, NoneType),
    "Reserve": (Status, NoneType),
    "Permit": (Status, NoneType),
}
"""What the points answer that are not asked for arrays."""


def asking(plugin: Any, point: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a plugin; whatever it raises, and an answer of the wrong type, becomes a PluginError that names it."""
    try:
        answer = function(*arguments)
    except Exception as error:
        raise plugin_failed(plugin, point, error) from error
    expected = _ANSWERS.get(point)
    if expected is not None and not isinstance(answer, expected):
        wrong = f"plugin {plugin.name} returned {type(answer).__name__} {answer!r} from {point}"
        raise PluginError(wrong, plugin=plugin.name)
    return answer


def plugin_failed(plugin: Any, point: str, error: Exception) -> PluginError:
    """Return the error that names a plugin which raised."""
    return PluginError(f"plugin {plugin.name} failed in {point}: {error!r}", plugin=plugin.name)


def as_rejections(plugin: Any, answer: Any, count: int) -> Rejections:
    """Return the answer of a Filter in its full form; raises PluginError when it is not one answer for each node."""
    if isinstance(answer, np.ndarray) and answer.dtype == np.bool_:
        rejection = Rejection((f"node(s) didn't satisfy plugin {plugin.name}",))
        answer = Rejections((~answer).astype(np.int64), ByCode((rejection,)))
    if not isinstance(answer, Rejections) or not isinstance(answer.codes, np.ndarray):
        wrong = f"plugin {plugin.name} returned neither booleans nor Rejections from Filter"
        raise PluginError(wrong, plugin=plugin.name)
    if answer.codes.dtype.kind not in "iu":
        wrong = f"plugin {plugin.name} returned codes of {answer.codes.dtype} from Filter, wanted integers"
        raise PluginError(wrong, plugin=plugin.name)
    if answer.codes.shape != (count,):
        wrong = f"plugin {plugin.name} returned shape {answer.codes.shape} from Filter, wanted ({count},)"
        raise PluginError(wrong, plugin=plugin.name)
    # Codes are kept and changed row by row: a plugin's own array, or one that is read-only, is left alone.
    return answer if _powers_of(plugin).ours else Rejections(answer.codes.astype(np.int64), answer.explain)


def merged(old: Rejections, rows: NDArray[np.intp], new: Rejections) -> Rejections:
    """Return `old` with the answers for `rows` replaced; codes that mean different things are numbered anew."""
    if old.explain == new.explain or not new.codes.any():
        old.codes[rows] = new.codes
        return old
    known: dict[Rejection, int] = {}
    codes = np.zeros(len(old.codes), dtype=np.int64)
    for code in np.unique(old.codes).tolist():
        if code:
            codes[old.codes == code] = known.setdefault(old.explain(code), len(known) + 1)
    codes[rows] = [known.setdefault(new.explain(c), len(known) + 1) if c else 0 for c in new.codes.tolist()]
    return Rejections(codes, ByCode(tuple(known)))


def checked(plugin: Any, scores: Any, count: int, *, normalized: bool = False) -> Ints:
    """Return scores as int64; raises PluginError when they are not whole numbers, one for each node.

    Scores that are `normalized`, or will not be, must be from 0 to MAX_SCORE.
    """
    if not isinstance(scores, np.ndarray) or scores.dtype.kind not in "iu":
        kind = getattr(scores, "dtype", type(scores).__name__)
        raise PluginError(f"plugin {plugin.name} returned {kind} from Score, wanted integers", plugin=plugin.name)
    if scores.shape != (count,):
        raise PluginError(
            f"plugin {plugin.name} returned shape {scores.shape} from Score, wanted ({count},)", plugin=plugin.name
        )
    powers = _powers_of(plugin)
    found: Ints = scores.astype(np.int64, copy=not powers.ours)  # they are kept: a plugin's own array is left alone
    if not powers.ours and (normalized or not powers.normalizes) and found.size:
        low, high = int(found.min()), int(found.max())
        if low < 0 or high > MAX_SCORE:
            wrong = f"plugin {plugin.name} returned scores from {low} to {high}, wanted 0 to {MAX_SCORE}"
            raise PluginError(wrong, plugin=plugin.name)
    return found


def refuse_alike(before: Rejections | None, after: Rejections | None) -> bool:
    """Say whether two answers of a Filter refuse the same rows."""
    if before is None or after is None:
        return before is after
    return before.codes is after.codes or bool(np.array_equal(before.codes != 0, after.codes != 0))
