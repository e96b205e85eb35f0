"""Columns of text as numbers: the words and pairs of words that training rows share.

A text becomes one number for each term that it holds: how often, times how rare the term is,
divided by the norm of all of them (Salton and Buckley 1988, the weights `tfc`; scikit-learn's
`TfidfVectorizer`). Terms are Keras's: `nas.encoding.keras_form` has them by `TextVectorization`.
"""

import re
import string
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_TERMS = 1000  # of a column
LEAST_TEXTS = 3  # that a term is in
NO_TERM = "[none]"  # no text has it, as brackets are taken out
LONGEST = 2  # words of a term

# As TensorFlow has them: letters of other alphabets keep their case, and blanks of others are none.
_PLAIN = str.maketrans(string.ascii_uppercase, string.ascii_lowercase, string.punctuation)
_BLANKS = re.compile("[ \t\n\r\f\v]+")


@dataclass(frozen=True)
class Terms:
    """The terms of a column that are kept.

    Attributes:
        texts: The terms, at least one.
        weights: What the counts of each are multiplied by, shape (n_terms,).
    """

    texts: tuple[str, ...]
    weights: NDArray[np.float32]

    def encode(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Texts as numbers, shape (n_rows, n_terms); rows without a known term are zeros."""
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.preprocessing import normalize

        counter = CountVectorizer(
            analyzer=terms_of, vocabulary=self.texts, lowercase=False, dtype=np.float32
        )
        weighted = counter.transform(values).multiply(self.weights).tocsr()
        encoded: NDArray[np.float32] = normalize(weighted, copy=False).toarray()
        return encoded


def terms_of(text: str) -> list[str]:
    """The words of a text and its pairs of neighbouring words, in lower case."""
    words = [word for word in _BLANKS.split(text.translate(_PLAIN)) if word]
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    return words + pairs


def fit_terms(values: NDArray[Any]) -> Terms:
    """The most frequent terms of some texts, and what they weigh.

    Args:
        values: Texts, shape (n_rows,).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    for least in (LEAST_TEXTS, 1):
        vectorizer = TfidfVectorizer(
            analyzer=terms_of, lowercase=False, min_df=least, max_features=MOST_TERMS
        )
        try:
            vectorizer.fit(values)
        except ValueError:  # no term is left
            continue
        return Terms(tuple(vectorizer.get_feature_names_out()), vectorizer.idf_.astype(np.float32))
    return Terms((NO_TERM,), np.ones(1, np.float32))
