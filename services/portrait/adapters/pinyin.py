"""Readings of Chinese characters by the dictionary of pypinyin."""

from functools import partial

from services.portrait.rules.search_terms import initials


def name_initials(name: str) -> list[str]:
    """First letters of a name, the likeliest reading first: 重庆长安 -> cqca. Letters and digits are kept."""
    # Here, since its dictionary takes longer to load than most of the service, and few processes read names.
    from pypinyin import Style, pinyin

    # The stub knows texts only; the library documents a list of readings per character as well.
    read = partial(pinyin, name, style=Style.FIRST_LETTER, errors=_as_they_are)  # type: ignore[arg-type]
    ordered = [[likeliest[0], *every] for likeliest, every in zip(read(), read(heteronym=True), strict=True)]
    return initials(ordered)


def _as_they_are(rest: str) -> list[list[str]]:
    return [[character] for character in rest if character.isalnum()]
