"""What can be wrong with a picture."""


class BrokenPicture(Exception):
    """The bytes are not a whole picture. `reason` says why, in words for the ledger."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
