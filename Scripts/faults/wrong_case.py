"""One wrong input, and what its answer must hold."""

import dataclasses


@dataclasses.dataclass
class Case:
    """One wrong input; `culprits` are the texts that the message must hold, `keeps` what a run that was under way must leave."""

    name: str
    words: list
    culprits: list
    input: str = ""
    needs_way_out: bool = True
    keeps: str = ""
    environment: dict = dataclasses.field(default_factory=dict)
