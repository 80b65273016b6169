"""How near the best possible ranking each model comes, where the truth is known."""

from benchmarks.estimates import Estimate
from benchmarks.grid import SIAMESE, adapts
from benchmarks.standings import Standing
from benchmarks.tables import table
from coldstart_models.data.pools import COLD, shots_pool
from coldstart_models.metrics import NDCG
from coldstart_models.models import CONTENT_KNN, ORACLE


def oracle_share(cut: Standing, model: str, *, shots: int) -> Estimate | None:
    """NDCG@10 of a model with k first customers as a share of the oracle's, on the same pool.

    None where one of them was not measured there.
    """
    pool, count = (shots_pool(shots), shots if adapts(model) else 0) if shots else (COLD, 0)
    return cut.share(model, ORACLE, pool=pool, shots=count)


def shares_of_oracle(cut: Standing) -> str:
    """Of every model that adapts, of the one that it adapts and of the best kNN; empty without."""
    if ORACLE not in cut.models:
        return ""
    names: list[str] = [name for name in (CONTENT_KNN, SIAMESE[0]) if name in cut.models]
    names += [name for name in cut.models if adapts(name)]
    counts = [0, *cut.shots]
    body = [
        [f"`{name}`", *(in_per_cent(oracle_share(cut, name, shots=count)) for count in counts)]
        for name in names
    ]
    columns = ["share of the oracle", *(f"k = {count}" for count in counts)]
    return (
        f"`{cut.cut}`, {NDCG} as a share of that of `{ORACLE}`, which ranks by the chances that "
        "the data was drawn with, on the same pool: all new items at k = 0, else those with more "
        f"than k customers. In brackets 95 % bootstrap intervals over users.\n\n"
        f"{table(columns, body)}"
    )


def in_per_cent(found: Estimate | None) -> str:
    """A share with its interval."""
    if found is None:
        return "–"
    return f"{found.mean:.1%} ({found.low:.1%}–{found.high:.1%})"
