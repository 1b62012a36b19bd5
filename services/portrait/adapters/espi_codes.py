"""Codes of NAESB REQ.21 ESPI (Green Button) that interval data need, as data."""

from decimal import Decimal

from services.portrait.adapters.readings import Kind

ATOM = "http://www.w3.org/2005/Atom"
ESPI = "http://naesb.org/espi"
ELECTRICITY, DELTA, NORMAL = "1", "4", "12"
"""commodity, accumulationBehaviour, dataQualifier."""
UNITS: dict[str, tuple[Kind, bool]] = {
    "72": ("energy", False),
    "73": ("energy", True),
    "38": ("mean-power", False),
    "63": ("mean-power", True),
}
"""uom -> kind and whether it is reactive: Wh, varh, W, var."""
CHANNELS = {
    ("1", False): "active-import",
    ("19", False): "active-export",
    ("1", True): "reactive-lagging",
    ("19", True): "reactive-leading",
}
"""flowDirection (1 forward, 19 reverse) and reactive -> channel."""
ACCUMULATIONS: dict[Kind, frozenset[str]] = {
    "energy": frozenset({"4"}),
    "mean-power": frozenset({"2", "4", "6", "12"}),
}
"""accumulationBehaviour that is an interval's own value; 1, 3 and 9 are registers that go on counting."""
QUALITY_IN = {
    "0": "measured",
    "7": "manual",
    "8": "estimated",
    "9": "estimated",
    "10": "questionable",
    "11": "estimated",
    "12": "estimated",
    "13": "questionable",
    "14": "measured",
    "15": "estimated",
    "16": "questionable",
    "17": "measured",
    "18": "measured",
    "19": "measured",
}
"""QualityOfReading: valid, manually edited, estimated by reference day or interpolation, questionable, derived,
projected, mixed, raw, normalised for weather, other, validated, verified, revenue quality."""
QUALITY_OUT = {"measured": "14", "estimated": "8", "manual": "7", "questionable": "10"}
DEFAULT_QUALITY = "14"
MULTIPLIERS = {str(n): Decimal(10) ** n for n in range(-12, 13)}
"""powerOfTenMultiplier."""
EXPORTED: dict[str, tuple[str, str]] = {
    channel: (flow, "73" if reactive else "72") for (flow, reactive), channel in CHANNELS.items()
}
"""Channel -> flowDirection and uom of its energy."""
