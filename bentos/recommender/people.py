"""Erasing people, also those whom another process erased meanwhile."""

import bentoml

from bentos.recommender import measures, payloads
from bentos.recommender.observing.request import keep_private
from bentos.recommender.state import State, as_responses, logger
from coldstart_models.errors import ModelError
from feature_repo.erasure import journal
from feature_repo.erasure.tombstones import Tombstones
from feature_repo.errors import FeatureError


class People(State):
    """Endpoints about a person as such."""

    _erasures: int
    """How many receipts of all there are this process has heeded."""

    @bentoml.api(route="/users/erase")
    def erase_user(self, params: payloads.EraseUserRequest, /) -> payloads.EraseUserResponse:
        """Erase a person everywhere; `DELETE /users` with the same body does so too.

        It is done when this returns: stores, log, offline tables, logs of what was served, and
        what listings had learned from the person.
        """
        return self.forget_user(params.user_id)

    def forget_user(self, user_id: str) -> payloads.EraseUserResponse:
        """As the endpoint."""
        from coldstart_models.erasing import erase_user

        keep_private([user_id])
        undone = (
            "and the erasure goes on where this is sent again, or with the service's next start"
        )
        with measures.stage("erase"), as_responses(undone=undone), self._intake:
            receipt = erase_user(
                user_id,
                home=self.home,
                store=self.store,
                recommender=self.recommender,
                now=self._clock.now(),
            )
            self.shelf.forget_users(Tombstones.read(self.home))
            self._erasures += 1  # another process's receipt beside it is still to be noticed
        return payloads.EraseUserResponse.model_validate(receipt.as_dict())

    def _notice_erasures(self) -> None:
        """Forget, in memory too, whom another process erased; listings learn anew."""
        if journal.receipts(self.home) == self._erasures:
            return
        from coldstart_models.online_push import learn_anew

        with self._intake:
            known = journal.receipts(self.home)
            if known == self._erasures:  # it was one of this process, which has told by now
                return
            self._erasures = known
            self.shelf.forget_users(Tombstones.read(self.home))
            self.recommender.forget_people()
            self.recommender.forget_adaptations(None)
            learn_anew(self.home)
        logger.info("people were erased by another process: listings learn anew")

    def _finish_erasure(self) -> None:
        """Finish an erasure whose process was killed."""
        from coldstart_models.erasing import finish_erasure

        with self._intake:
            try:
                receipt = finish_erasure(self.home, self.store, recommender=self.recommender)
            except (FeatureError, ModelError) as error:
                logger.error("an erasure that was killed is not finished yet: %s", error)
                return
            if receipt is not None:
                self.shelf.forget_users(Tombstones.read(self.home))
                self._erasures += 1
                logger.info("finished an erasure that was killed: %s", receipt.user_hash)
