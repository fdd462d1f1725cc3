"""What a message is about: a text classifier that knows how sure it is, and when that is enough.

Words and pieces of words, weighed by how rare they are, what the words mean, and a linear support
vector machine. Its margins become shares so steeply that a second intent which is near makes it
unsure. scikit-learn is imported where it fits.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from activities.support_meaning import Meaning

FOLDS = 5
STEEP = 10.0
"""How much nearer intents count more: of banking77 the surest 85 % were right most often so."""

FLAT = 3.0
"""How fast a lead becomes certainty. It changes the figures that people see, and no order."""


@dataclass(frozen=True)
class Guess:
    """What a message is about, as far as the classifier can say."""

    intent: str
    confidence: float


@dataclass(frozen=True)
class Classifier:
    """A fitted classifier. `version`: the digest of what it was fitted to."""

    features: Any
    model: Any
    threshold: float
    version: str

    @property
    def words(self) -> Container[str]:
        """The words that it has met."""
        return self.features.kinds[0].vocabulary_

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """The likeliest intent of each text."""
        return _judged(self.model, self.features.transform(texts))


def fit(
    texts: Sequence[str],
    intents: Sequence[str],
    *,
    outside: Sequence[str] = (),
    right: float = 0.98,
    escaped: float = 0.06,
) -> Classifier:
    """Fit to messages that people have labelled, and find from when on it may answer alone.

    `outside`: messages that are about none of the intents. The threshold is the lowest at which,
    of messages held back from the fit, at least the share `right` was understood, and at most
    the share `escaped` of those outside would have been answered.
    """
    features, model = _fitted(texts, intents)
    held = _held_back(texts, intents)
    threshold = lowest(held, right)
    if outside:
        guesses = _judged(model, features.transform(outside))
        sure = sorted((each.confidence for each in guesses), reverse=True)
        threshold = max(threshold, _above(sure[math.floor(escaped * len(sure))]))
    said = "\x1e".join(f"{t}\x1f{i}" for t, i in zip(texts, intents, strict=True))
    version = hashlib.sha256(said.encode()).hexdigest()[:12]
    return Classifier(features, model, threshold, version)


def lowest(judged: Sequence[tuple[float, bool]], right: float) -> float:
    """The lowest confidence from which on at least this share is right."""
    good, answer = 0, 1.0
    for count, (confidence, was_right) in enumerate(sorted(judged, reverse=True), 1):
        good += was_right
        if good >= right * count:
            answer = confidence
    return answer


class _Features(NamedTuple):
    """Words, pieces and meaning. scikit-learn's own union warns where threads use it."""

    kinds: tuple[Any, ...]

    def transform(self, texts: Sequence[str]) -> Any:
        from scipy import sparse  # noqa: PLC0415

        beside: Any = sparse
        return beside.hstack([kind.transform(texts) for kind in self.kinds], format="csr")


def _fitted(texts: Sequence[str], intents: Sequence[str]) -> tuple[Any, Any]:
    from sklearn import svm  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    words: Any = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    pieces: Any = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    features = _Features((words.fit(texts), pieces.fit(texts), Meaning()))
    seen = features.transform(texts)
    model: Any = svm.LinearSVC(C=0.5, random_state=0)
    # More threads than are free only wait for each other, and heat the machine.
    with threadpool_limits(1):
        return features, model.fit(seen, intents)


def _judged(model: Any, seen: Any) -> list[Guess]:
    """The likeliest intents, and how sure: by how far the others are behind, all together."""
    import numpy as np  # noqa: PLC0415

    scores = STEEP * model.decision_function(seen)
    if scores.ndim == 1:
        scores = np.stack([-scores, scores], axis=1)
    best = scores.argmax(axis=1)
    top = scores.max(axis=1)
    behind = np.exp(scores - top[:, None]).sum(axis=1) - 1
    lead = -np.log(np.maximum(behind, 1e-12)) / STEEP
    sure = 1 / (1 + np.exp(-FLAT * lead))
    classes = model.classes_
    return [Guess(str(classes[at]), float(c)) for at, c in zip(best, sure, strict=True)]


def _held_back(texts: Sequence[str], intents: Sequence[str]) -> list[tuple[float, bool]]:
    """How sure it is of messages that it was not fitted to, and whether it is right.

    Every fifth message is held back: equal texts are all held back, or none.
    """
    out = [hashlib.sha256(text.encode()).digest()[0] % FOLDS == 0 for text in texts]
    kept = [(t, i) for t, i, o in zip(texts, intents, out, strict=True) if not o]
    asked = [(t, i) for t, i, o in zip(texts, intents, out, strict=True) if o]
    if not asked or len({intent for _, intent in kept}) < 2:  # noqa: PLR2004
        return []
    features, model = _fitted([t for t, _ in kept], [i for _, i in kept])
    guesses = _judged(model, features.transform([t for t, _ in asked]))
    return [
        (each.confidence, each.intent == intent)
        for each, (_, intent) in zip(guesses, asked, strict=True)
    ]


def _above(confidence: float) -> float:
    return math.nextafter(float(confidence), 2.0)
