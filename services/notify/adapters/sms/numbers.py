"""Phone numbers as the providers want them."""


def national(number: str) -> str:
    """`13800005678` for mainland numbers, digits with the country code for others."""
    digits = number.removeprefix("+")
    return digits[2:] if number.startswith("+86") else digits


def international(number: str) -> str:
    """`+8613800005678`; a number without country code is Chinese."""
    return number if number.startswith("+") else f"+86{number}"
