"""The demo's difficulty: hard enough to leave room, easy enough that content says something."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feature_repo.catalogs.marketplace import SIZES

AS_OF = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.mark.slow
def test_content_neighbours_reach_half_of_the_oracle_and_popularity_little(tmp_path: Path) -> None:
    from coldstart_models.benchmark_run import SplitPlan, run_benchmark

    result = run_benchmark(
        "marketplace:demo",
        workdir=tmp_path,
        plan=SplitPlan(cutoff=AS_OF - timedelta(weeks=SIZES["demo"].weeks) / 5),
        now=AS_OF,
        models=("random", "popularity", "content-knn", "oracle"),
        shots=(0,),
    )
    ndcg = {row.model: row.ndcg for row in result.results if row.pool == "cold"}
    assert ndcg["oracle"] > 0.4
    assert 0.4 <= ndcg["content-knn"] / ndcg["oracle"] <= 0.6
    assert ndcg["popularity"] / ndcg["oracle"] < 0.3
    assert ndcg["random"] / ndcg["oracle"] < 0.1
