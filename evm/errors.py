"""The one error family of this package."""


class EvmError(Exception):
    """Something that was to be signed, or a signature, breaks a rule. `code` is stable; the text holds no input."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
