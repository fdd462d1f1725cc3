"""What a text means: the mean of its words' vectors, which others have learnt from much more text.

They are in the package wordllama, 256 numbers for each of 32,000 pieces of words. Only its two
files are read: to import it would set logging up anew and bring a client of the network.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_VECTORS = "weights/l2_supercat_256.safetensors"
_PIECES = "tokenizers/l2_supercat_tokenizer_config.json"


class Meaning:
    """Texts as vectors of length 1: those of near meaning are near each other."""

    def transform(self, texts: Sequence[str]) -> Any:
        """One row for each text; none of its pieces known: zeros."""
        import numpy as np  # noqa: PLC0415  # heavy
        from scipy import sparse  # noqa: PLC0415

        tokenizer, vectors = _learnt()
        found = np.zeros((len(texts), vectors.shape[1]), dtype=np.float64)
        for row, text in enumerate(texts):
            # One by one: a batch would begin threads, which a fork does not survive.
            pieces = tokenizer.encode(text, add_special_tokens=False).ids
            if pieces:
                mean = vectors[pieces].astype(np.float64).mean(axis=0)
                found[row] = mean / max(np.linalg.norm(mean), 1e-12)
        return sparse.csr_matrix(found)


@functools.cache
def _learnt() -> tuple[Any, Any]:
    """The pieces of words, and a vector for each."""
    from safetensors import numpy as files  # noqa: PLC0415  # heavy
    from tokenizers import Tokenizer  # noqa: PLC0415

    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("wordllama is not installed; fix: pip install wordllama")
    home = Path(spec.origin).parent
    pieces: Any = Tokenizer.from_file(str(home / _PIECES))
    untyped: Any = files
    return pieces, untyped.load_file(home / _VECTORS)["embedding.weight"]
