"""Numbers in sentences."""


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as `1 trial` or `1,200 trials`."""
    return f"{number:,} {noun}" + "s" * (number != 1)
