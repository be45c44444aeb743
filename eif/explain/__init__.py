"""Why two images measure differently, or that they do not although they should (SC-11).

`compare.py` sets the images side by side, `files.py` and `contents.py` look into their parts, `render.py` writes it
down for people.
"""

from eif.explain.compare import explain
from eif.explain.report import Explanation

__all__ = ["Explanation", "explain"]
