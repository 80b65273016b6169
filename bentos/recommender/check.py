"""Whether the service could start here: ``python -m bentos.recommender.check``.

For an init container, and before an upgrade: what the server asks before it starts its workers
(model, contract, registered features), and then what a worker does first (the model's files and
vectors, a ranking). Exits with 1 and the reason where something does not fit.
"""

import os
import sys
from typing import Any

from bentoml.exceptions import BentoMLException

from coldstart_models.artifacts import StoredModel
from coldstart_models.errors import ModelError
from feature_repo.errors import FeatureError
from feature_repo.home import Home

BENTO_VARIABLE = "BENTO_PATH"
"""Where Bento's images have the Bento."""


def check(home: Home) -> str:
    """The tag of the model that would be served. Raises what the service would refuse with."""
    import bentoml

    from bentos.recommender.service import RecommenderService, begin_serving
    from coldstart_models.served_recommender import examine, load_served

    folder = os.environ.get(BENTO_VARIABLE)
    service: Any = bentoml.load(folder) if folder else RecommenderService
    service.inner.refuse_a_mismatch()

    def load(stored: StoredModel) -> str:
        recommender = load_served(home, tag=stored.tag)
        examine(recommender)
        return recommender.tag

    begun = begin_serving(home, load)
    if begun.refused is not None:
        print(f"{begun.refused.tag} is refused: {begun.refused.reason}", file=sys.stderr)
    return begun.loaded


def main() -> None:
    """Print the model, or the reason and exit with 1."""
    try:
        tag = check(Home.current())
    except (BentoMLException, ModelError, FeatureError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    print(f"ready to serve {tag}")


if __name__ == "__main__":
    main()
