from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo import feature_definitions
from feature_repo.feature_definitions import SERVICES, definitions
from feature_repo.feature_tables import (
    AS_OF_US,
    FEATURE_TABLES,
    HOUR_US,
    POPULARITY_HALF_LIFE,
    PRIOR_SUCCESSES,
    PRIOR_TRIALS,
    SESSION_GAP,
    US,
    WINDOWS,
)
from feature_repo.home import REPOSITORY, Home
from feature_repo.on_demand_features import (
    ITEM_TREND,
    ON_DEMAND_TABLES,
    USER_RECENCY,
    recall_user,
    weigh_item,
)


def test_feast_apply_imports_the_definitions_and_no_other_file() -> None:
    from feast.repo_operations import get_repo_files

    assert get_repo_files(REPOSITORY) == [REPOSITORY / "feature_definitions.py"]


def test_every_view_says_whose_it_is_what_it_means_and_what_makes_it(tmp_path: Path) -> None:
    defined = definitions(Home(tmp_path))
    for name in (*FEATURE_TABLES, *ON_DEMAND_TABLES):
        view = defined[name]
        assert view.owner
        assert view.description
        assert view.tags["made_by"]
    for name in FEATURE_TABLES:
        assert defined[name].ttl is not None
        assert all(field.description for field in defined[name].features)


def test_sources_are_the_tables_of_the_state_folder(tmp_path: Path) -> None:
    home = Home(tmp_path)
    defined = definitions(home)
    for name in FEATURE_TABLES:
        assert defined[name].batch_source.path == str(home.feature_table(name))
        assert defined[name].stream_source.name == f"{name}_push"


def test_plain_feast_finds_every_object_in_the_names_of_the_module() -> None:
    for name in ("item", "user", "category", *FEATURE_TABLES, *ON_DEMAND_TABLES, *SERVICES):
        assert getattr(feature_definitions, name).name == name


def test_definitions_of_two_folders_do_not_disturb_each_other(tmp_path: Path) -> None:
    first, second = definitions(Home(tmp_path / "a")), definitions(Home(tmp_path / "b"))
    assert first["item_profile"].batch_source.path != second["item_profile"].batch_source.path
    for name in ON_DEMAND_TABLES:
        transformations = [each[name].feature_transformation for each in (first, second)]
        assert transformations[0] == transformations[1]


def test_on_demand_functions_count_by_the_windows_and_constants_that_are_declared() -> None:
    """Feast stores their source alone, so it repeats what `feature_tables` declares."""
    assert {(name, length // HOUR_US) for name, length in WINDOWS.items()} == {
        ("1h", 1),
        ("1d", 24),
        ("7d", 7 * 24),
        ("30d", 30 * 24),
    }
    ages = [SESSION_GAP // US, SESSION_GAP // US + 1]
    visits = recall_user(
        pd.DataFrame(
            {
                "as_of_us": ages,
                **{
                    name: [None, None]
                    for name in USER_RECENCY.inputs["user_history"]
                    if name.startswith(("history", "last"))
                },
                "session_event_count": [3, 3],
                "session_start_us": [0, 0],
                "session_last_us": [0, 0],
                "session_categories": [["a"], ["a"]],
            }
        )
    )
    assert list(visits["session_event_count_now"]) == [3, 0]
    trend = weigh_item(
        pd.DataFrame(
            {
                **{name: [0, 0] for name in ITEM_TREND.inputs["item_activity"]},
                "as_of_us": [POPULARITY_HALF_LIFE // US, 0],
                "popularity": [1.0, 1.0],
                "impression_count_life": [100, 0],
                "click_count_life": [10, 0],
                "prior_ctr": [0.3, None],
                "prior_cvr": [None, None],
            }
        )
    )
    assert list(trend["popularity_now"]) == [0.5, 1.0]
    prior = PRIOR_SUCCESSES / PRIOR_TRIALS
    expected = [(10 + PRIOR_TRIALS * 0.3) / (100 + PRIOR_TRIALS), prior]
    np.testing.assert_allclose(trend["ctr"], expected)


def test_every_feature_of_an_on_demand_view_is_computed_and_none_is_called_like_an_input() -> None:
    for table in ON_DEMAND_TABLES.values():
        inputs = [name for names in table.inputs.values() for name in names]
        assert len(inputs) == len(set(inputs))
        assert not set(inputs) & set(table.features)
        nothing = pd.DataFrame({name: [None] for name in (*inputs, AS_OF_US)})
        assert list(table.compute(nothing.assign(**{AS_OF_US: 0}))) == list(table.features)
