"""What goes wrong with rules themselves. What is wrong with a request is a decision, not an error."""


class RulesError(Exception):
    """A rule document that cannot be used. `code` is stable; the sentence is for the document's author."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
