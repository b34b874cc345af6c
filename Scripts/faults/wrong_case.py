"""One wrong input, and what its answer must hold."""

import dataclasses


@dataclasses.dataclass
class Case:
    """One wrong input; `culprits` are the texts that the message must hold."""

    name: str
    words: list
    culprits: list
    input: str = ""
    needs_way_out: bool = True
    environment: dict = dataclasses.field(default_factory=dict)
