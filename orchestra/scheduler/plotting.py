"""Plans as a picture: how full each node is, for one plan or several side by side. Needs matplotlib, an extra."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestra.errors import ConfigurationError
from orchestra.scheduler.figures import figures_of, node_utilisation
from orchestra.scheduler.resources import CPU, MEMORY

if TYPE_CHECKING:
    from orchestra.scheduler.simulating import Plan

MISSING: Final = "plots need matplotlib, which is not installed: pip install 'orchestra-control-plane[plot]'"
FORMATS: Final = (".png", ".svg", ".pdf")
MAX_LABELLED: Final = 40
"""Nodes up to which their names are written below the bars."""
DOTS_PER_INCH: Final = 120


def check_plot(path: Path) -> None:
    """Raise ConfigurationError when no plot can be drawn into that file."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigurationError(f"{path}: a plot is written as one of {', '.join(FORMATS)}")
    _figure_class()


def plot_plans(plans: Mapping[str, Plan], path: Path) -> None:
    """Draw the nodes' utilisation of cpu and memory under each named plan.

    Raises ConfigurationError when matplotlib is missing or the file name has no known ending, and OSError.
    """
    check_plot(path)
    figure = _figure_class()(figsize=(10, 3.2 * len(plans)), layout="constrained")
    panels = figure.subplots(len(plans), 1, squeeze=False)
    for row, (name, plan) in zip(panels, plans.items(), strict=True):
        _draw(row[0], name, plan)
    metadata: dict[str, Any] = {"Date": None} if path.suffix.lower() == ".svg" else {}
    figure.savefig(path, dpi=DOTS_PER_INCH, metadata=metadata)


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError(MISSING) from error
    return Figure


def _draw(axes: Any, name: str, plan: Plan) -> None:
    width = 0.4
    for offset, resource in ((-width / 2, CPU), (width / 2, MEMORY)):
        shares = node_utilisation(plan.state, resource)
        places = [number + offset for number in range(len(shares))]
        axes.bar(places, [100 * share for share in shares.values()], width, label=resource)
    nodes = list(node_utilisation(plan.state, CPU))
    known = figures_of(plan.state)
    axes.set_title(f"{name}: {known.pods_placed} Pods placed, {known.pods_waiting} wait, fairness {known.fairness}")
    axes.set_ylabel("requested, % of the node")
    axes.set_ylim(0, 105)
    if len(nodes) <= MAX_LABELLED:
        axes.set_xticks(range(len(nodes)), nodes, rotation=45, ha="right", fontsize="small")
    else:
        axes.set_xlabel(f"{len(nodes)} nodes by name")
        axes.set_xticks([])
    axes.legend(loc="upper right", fontsize="small")
