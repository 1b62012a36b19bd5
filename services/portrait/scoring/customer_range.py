"""A chunk of customers in SQL: ($1, $2], or from $1 on where $2 is null."""


def between(column: str) -> str:
    """Both ends bound the index, also in a plan made for any parameters: what is beyond $2 is never read."""
    return f"{column} > $1 AND {column} <= coalesce($2::text, chr(1114111))"
