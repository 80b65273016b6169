"""How the service, its gate and its features are."""

import bentoml
from bentoml.exceptions import ServiceUnavailable

from bentos.recommender import measures, payloads
from bentos.recommender.desk import Desk
from bentos.recommender.state import State, logger
from coldstart_models.errors import ModelError
from feature_repo.errors import FeatureError
from validation.errors import ValidationError


class Operating(State):
    """The endpoint of the operations page."""

    _desk: Desk
    _refused: tuple[str, str] | None

    @bentoml.api
    def operations(self) -> payloads.OperationsResponse:
        """The gate's last verdicts, features' freshness, what is cold, experiments, fallbacks.

        Read from files at most every few seconds, feature tables at most every half minute.
        """
        try:
            with measures.stage("operations"):
                return self._desk.state(refused=self._refused)
        except (FeatureError, ModelError, ValidationError) as error:
            raise ServiceUnavailable(str(error)) from error

    def _warm_desk(self) -> None:
        try:
            self._desk.warm_up()
        except FeatureError as error:
            logger.error("pages of the experiment are not counted: %s", error)
