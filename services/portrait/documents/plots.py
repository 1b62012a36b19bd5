"""Pictures of a customer as SVG: load curve of days, heat map of a year, radar. Text stays text, so it can be read.

Drawn without pyplot, whose state all threads share. Fonts are the reader's: Chinese ones are named first.
"""

import io
import logging
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from math import pi, sin
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

# Imported where it draws: it takes longer to load than the rest of the service, and few processes draw.
if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "keyline",
    "font.family": ["Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "sans-serif"],
    "font.size": 9.5,
    "axes.edgecolor": "#8a939c",
    "axes.labelcolor": "#30373d",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": "#30373d",
    "ytick.color": "#30373d",
    "axes.unicode_minus": False,
}
_LINES = ("#0b5cad", "#c2410c", "#15803d", "#7c3aed", "#52525b", "#0e7490", "#be185d")
_PERIODS = {
    1: ("#f8b4b4", "尖 sharp"),
    2: ("#fbd5b5", "峰 peak"),
    4: ("#cfe8d5", "谷 valley"),
    5: ("#a7d3c0", "深谷 deep valley"),
}
_WEEKDAYS = ("一 Mon", "二 Tue", "三 Wed", "四 Thu", "五 Fri", "六 Sat", "日 Sun")
# Styles and caught warnings are the process's, and rendering is work of one core anyhow.
_one_at_a_time = threading.Lock()
# Fonts that this machine lacks are the reader's to have.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One spoke: `share` 0 at the centre to 1 at the rim, None where there is no value."""

    label: str
    value: str
    share: float | None


def load_curve(*, title: str, first: date, kw: NDArray[np.float64], periods: NDArray[np.uint8]) -> bytes:
    """Mean power of each interval, a line per day; NaN leaves a gap. `periods` shades the tariff periods."""
    slots = kw.shape[1]
    with _drawing(8.6, 4.0) as figure:
        axes = figure.add_subplot()
        edges = np.arange(slots + 1) * 24 / slots
        _shade(axes, periods)
        for n, day in enumerate(kw):
            moment = first + timedelta(days=n)
            label = f"{moment:%m-%d} 周{_WEEKDAYS[moment.weekday()]}"
            axes.stairs(day, edges, color=_LINES[n % len(_LINES)], linewidth=1.3, label=label, baseline=None)
        axes.set_xlim(0, 24)
        axes.set_ylim(bottom=0)
        axes.set_xticks(range(0, 25, 3), [f"{hour}:00" for hour in range(0, 25, 3)])
        axes.set_ylabel("平均功率 mean power, kW")
        axes.set_title(title, loc="left", fontsize=11)
        axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1), frameon=False, fontsize=8.5)
        return _svg(figure)


def _shade(axes: Any, periods: NDArray[np.uint8]) -> None:
    slots, named = len(periods), set()
    begins = [0, *(np.flatnonzero(np.diff(periods)) + 1).tolist(), slots]
    for start, end in pairwise(begins):
        colour, name = _PERIODS.get(int(periods[start]), (None, ""))
        if colour:
            axes.axvspan(
                start * 24 / slots, end * 24 / slots, color=colour, alpha=0.45, linewidth=0,
                label=None if name in named else name,
            )  # fmt: skip
            named.add(name)


def heat_map(*, title: str, first: date, kw: NDArray[np.float64]) -> bytes:
    """Days from left to right, hours from top to bottom; what was not reported is grey."""
    import matplotlib as mpl

    with _drawing(9.2, 3.7) as figure:
        axes = figure.add_subplot()
        colours = mpl.colormaps["viridis"].with_extremes(bad="#d5d9dd")
        shown = axes.imshow(
            np.ma.masked_invalid(kw.T), aspect="auto", cmap=colours, interpolation="nearest",
            extent=(0, len(kw), 24, 0),
        )  # fmt: skip
        starts = [n for n in range(len(kw)) if (first + timedelta(days=n)).day == 1]
        axes.set_xticks(starts, [f"{(first + timedelta(days=n)).month}月" for n in starts])
        axes.set_yticks(range(0, 25, 6), [f"{hour}:00" for hour in range(0, 25, 6)])
        axes.set_title(title, loc="left", fontsize=11)
        bar = figure.colorbar(shown, ax=axes, pad=0.012)
        bar.set_label("平均功率 mean power, kW")
        bar.outline.set_visible(False)
        return _svg(figure)


def radar(*, title: str, note: str, axes_shown: Sequence[Axis]) -> bytes:
    """One spoke per axis with its own value written beside it; a spoke without a value is left open."""
    with _drawing(6.6, 5.4) as figure:
        figure.set_layout_engine("none")
        axes: Any = figure.add_axes((0.24, 0.15, 0.52, 0.66), projection="polar")
        axes.set_theta_offset(pi / 2)
        axes.set_theta_direction(-1)
        angles = np.arange(len(axes_shown)) * 2 * pi / len(axes_shown)
        known = [(angle, axis.share) for angle, axis in zip(angles, axes_shown, strict=True) if axis.share is not None]
        if known:
            theta, share = (np.array([*column, column[0]]) for column in zip(*known, strict=True))
            axes.fill(theta, share, color=_LINES[0], alpha=0.18, linewidth=0)
            axes.plot(theta, share, color=_LINES[0], linewidth=1.6, marker="o", markersize=4)
        axes.set_ylim(0, 1)
        axes.set_yticks([0.25, 0.5, 0.75, 1.0], ["", "", "", ""])
        axes.set_xticks(angles, [""] * len(angles))
        for angle, axis in zip(angles, axes_shown, strict=True):
            aside = "center" if abs(sin(angle)) < 0.2 else "left" if sin(angle) > 0 else "right"
            axes.text(angle, 1.13, f"{axis.label}\n{axis.value}", ha=aside, va="center", fontsize=8.6, clip_on=False)
        axes.grid(color="#c9ced3", linewidth=0.7)
        axes.spines["polar"].set_color("#c9ced3")
        figure.text(0.5, 0.945, title, ha="center", fontsize=11)
        figure.text(0.5, 0.02, note, ha="center", fontsize=8, color="#5b646c")
        return _svg(figure)


class _drawing:
    """A figure under the house's style, one at a time."""

    def __init__(self, width: float, height: float) -> None:
        self._size = (width, height)

    def __enter__(self) -> "Figure":
        import matplotlib as mpl
        from matplotlib.figure import Figure

        _one_at_a_time.acquire()
        self._style = mpl.rc_context(_STYLE)  # type: ignore[arg-type]
        self._style.__enter__()
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")
        return Figure(figsize=self._size, layout="constrained")

    def __exit__(self, *error: object) -> None:
        self._warnings.__exit__(None, None, None)
        self._style.__exit__(None, None, None)
        _one_at_a_time.release()


def _svg(figure: "Figure") -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": "Keyline"})
    return out.getvalue()
