"""What can go wrong between a catalogue and its features.

    FeatureError
    ├── StoreError           the feature store cannot do what was asked
    │   ├── NotApplied       nothing is registered yet: run `coldstart apply`
    │   ├── UnknownFeature   no such view, feature or service
    │   └── StoreLost        the online store does not answer now; it may later
    ├── EncoderError         an encoder cannot be loaded, or its output is not usable
    └── JobError             a job's input is missing or has another shape

A caller that reads features writes::

    try:
        frame = Store(home).historical(entities, "coldstart_v1")
    except NotApplied as error:
        sys.exit(str(error))
"""


class FeatureError(Exception):
    """Root of every error this package raises on purpose."""


class StoreError(FeatureError):
    """The feature store cannot do what was asked."""


class NotApplied(StoreError):  # noqa: N818 - reads as the fact it states
    """Nothing is registered in this state folder yet."""


class UnknownFeature(StoreError):  # noqa: N818
    """No such feature view, feature or feature service."""


class StoreLost(StoreError):  # noqa: N818
    """The online store does not answer now; it may later."""


class EncoderError(FeatureError):
    """An encoder cannot be loaded, or what it returns is not usable."""


class JobError(FeatureError):
    """A job's input is missing or has another shape than declared."""
