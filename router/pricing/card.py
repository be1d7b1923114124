"""A rate card: what one model costs at one time, laid out so that a call's cost is a few multiplications."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from msgspec.structs import astuple

from providers.usage import Cost, TokenUsage

ENGINE: Final = "genai-prices"
"""The price source by its name."""
DEPLOYMENT: Final = "deployment"
"""The deployment's own prices, as a source."""


class Band(NamedTuple):
    """Prices in US dollars for calls whose input is of one size: of each token by its class, of each thing by its kind.

    The classes of tokens don't overlap: `text` is what is left of the input without the next five, `output` what is
    left of the output without the next three.
    """

    text: float
    audio: float
    cached: float
    cached_audio: float
    written: float
    written_1h: float
    output: float
    reasoning: float
    output_audio: float
    output_image: float
    request: float
    search: float
    file_search: float


CLASSES: Final = 10
"""The first so many of a band's prices are of classes of tokens."""


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Stands for a card where there is none."""

    reason: str
    model: str = ""

    def cost(self, usage: TokenUsage) -> Cost:
        """Not known."""
        return Cost(None, self.reason, model=self.model)


class Card:
    """The prices of one model.

    `bounds`: sizes of the input, ascending, above which the next of `bands` holds for the whole call. `units`: for
    each class of tokens, the name of the price that it falls under: tokens of one price may be counted among each
    other's, but no fewer of them than none.
    """

    __slots__ = ("_bands", "_bounds", "_units", "model", "source")

    def __init__(
        self, model: str, source: str, bounds: Sequence[int], bands: Sequence[Band], units: Sequence[str]
    ) -> None:
        self.model = model
        self.source = source
        self._bounds = tuple(bounds)
        self._bands = tuple(bands)
        self._units = tuple(units)

    @property
    def bounds(self) -> tuple[int, ...]:
        """Tokens of input above which prices are others."""
        return self._bounds

    @property
    def units(self) -> tuple[str, ...]:
        """What price each class of tokens falls under."""
        return self._units

    def band(self, tokens: int) -> Band:
        """The prices for a call with so many tokens of input."""
        return self._bands[bisect_left(self._bounds, tokens)]

    def cost(self, usage: TokenUsage) -> Cost:
        """What `usage` costs; unknown, with a reason, if it contradicts itself."""
        # all fields at once: one by one they would take half of the time
        whole, told, read, written, hour, thought, audio, spoken, webs, _, heard, drawn, files = astuple(usage)
        band = self._bands[bisect_left(self._bounds, whole)]
        fresh, said = whole - read, told - thought
        if fresh < 0 or said < 0 or written or hour or audio or spoken or webs or heard or drawn or files:
            return self._mixed(usage, band)
        given, cached, output, pieces = fresh * band[0], read * band[2], said * band[6] + thought * band[7], band[10]
        total = given + output + cached + pieces
        return Cost(total, None, given, output, cached, 0.0, pieces, self.source, self.model)

    def _mixed(self, usage: TokenUsage, band: Band) -> Cost:
        """The same, of what is more than text and its cache."""
        whole, told, read, written, hour, thought, audio, spoken, webs, _, heard, drawn, files = astuple(usage)
        text = whole - audio - read - written + heard
        fresh, seen, brief = audio - heard, read - heard, written - hour
        said = told - thought - spoken - drawn
        if text < 0 or fresh < 0 or seen < 0 or brief < 0 or said < 0:
            wrong = self._contradiction((text, fresh, seen, heard, brief, hour, said, thought, spoken, drawn))
            if wrong is not None:
                return Cost(None, wrong, source=self.source, model=self.model)
        given = text * band[0] + fresh * band[1]
        cached = seen * band[2] + heard * band[3]
        kept = brief * band[4] + hour * band[5]
        output = said * band[6] + thought * band[7] + spoken * band[8] + drawn * band[9]
        pieces = band[10] + webs * band[11] + files * band[12]
        total = given + output + cached + kept + pieces
        return Cost(total, None, given, output, cached, kept, pieces, self.source, self.model)

    def _contradiction(self, counts: Sequence[int]) -> str | None:
        """Which price there would be fewer tokens of than none for, in words; None: of none."""
        sums: dict[str, int] = {}
        for unit, number in zip(self._units, counts, strict=True):
            sums[unit] = sums.get(unit, 0) + number
        worst = next((unit for unit, number in sums.items() if number < 0), None)
        return None if worst is None else f"the usage contradicts itself: its parts are more than all of {worst}"


Priced: TypeAlias = Card | Unpriced
