from benchmarks import control_tables


def point(personal, ndcg, *, own=False, model="siamese", pool="cold", shots=0):
    return {
        "model": model,
        "pool": pool,
        "shots": shots,
        "personal": personal,
        "own": own,
        "recall@20": 0.25,
        "ndcg@10": ndcg,
        "coverage": 1 - personal / 2,
        "popularity_lift": 2 - personal,
    }


POINTS = [point(0.0, 0.05), point(0.5, 0.2), point(0.9, 0.19, own=True), point(1.0, 0.1)]
CHANCES = {
    "model": "siamese",
    "pool": "cold>5",
    "shots": 5,
    "predicted": [0.001, *[0.002] * 8, 0.0125],
    "observed": [0.0005, *[0.002] * 8, 0.01],
    "calibration_error": 0.0812,
    "log_chance_gain": 0.7123,
    "own_variance_said": 0.25,
    "own_variance_found": 0.375,
    "num_users": 1500,
}

DEMAND = {
    "model": "siamese",
    "within_one_deviation": 0.534,
    "within_two_deviations": 0.9,
    "num_items": 1350,
}


def test_what_strangers_are_ranked_by_is_held_against_its_deviations():
    assert "| `siamese` | 53.4% | 90.0% | 1,350 |" in control_tables.strangers([DEMAND])
    assert control_tables.strangers([]) == ""


def test_the_control_is_shown_place_by_place_with_the_default_marked():
    told = control_tables.control(POINTS)
    assert "| `siamese` | cold | 0 | 0 | .0500 | .2500 | 1.0000 | 2.000 |" in told
    assert "| `siamese` | cold | 0 | **0.9** (default) | .1900 | .2500 | .5500 | 1.100 |" in told
    assert "| `siamese` | cold | 0 | 0.5 | **.2000** |" in told
    assert told.endswith("`siamese` is highest at π = 0.5, its default 5.0% below.\n")


def test_with_first_customers_known_it_is_a_curve_of_its_own():
    known = [point(0.0, 0.3, pool="cold>5", shots=5), point(1.0, 0.4, pool="cold>5", shots=5)]
    told = control_tables.control([*POINTS, *known])
    assert "| `siamese` | cold>5 | 5 | 1 | **.4000** |" in told
    assert told.endswith("; `siamese` with 5 customers is highest at π = 1.\n")


def test_a_default_at_the_peak_is_called_so():
    told = control_tables.control([point(0.0, 0.1), point(0.9, 0.2, own=True)])
    assert told.endswith("`siamese` is highest at its default.\n")


def test_a_default_that_leans_away_from_what_sells_is_beyond_the_control():
    own = {**point(1.0, 0.3, own=True), "personal": None}
    told = control_tables.control([point(0.0, 0.1), point(1.0, 0.2), own])
    assert "| `siamese` | cold | 0 | 1 | .2000 |" in told
    assert "| `siamese` | cold | 0 | **beyond 1** (default) | **.3000** |" in told
    assert told.endswith("`siamese` is highest at its default.\n")
    told = control_tables.control([point(1.0, 0.4), own])
    assert told.endswith("`siamese` is highest at π = 1, its default 25.0% below.\n")


def test_calibration_tells_the_error_and_both_ends():
    told = control_tables.calibration([CHANCES])
    row = "| `siamese` | cold>5 | 5 | .0812 | 0.10% | 0.05% | 1.25% | 1.00% | 0.712 | "
    assert f"{row}.2500 | .3750 | 1,500 |" in told


def test_sources_that_tell_nothing_are_left_out():
    rest = {"split": "cutoff 2010-07-01", "generated": False}
    silent = {"source": "a", "reliability": [], "demand": [], "personal": [], **rest}
    told = control_tables.published(
        [
            silent,
            {
                "source": "b",
                "reliability": [CHANCES],
                "demand": [DEMAND],
                "personal": POINTS,
                **rest,
            },
        ]
    )
    assert "**a**" not in told
    assert told.startswith("**b**: cutoff 2010-07-01, first seed.\n\nChance that")
    assert told.index("calibration error") < told.index("popularity lift")
